"""A submission as it lies on disk: manifest, card, results, and what is wrong with them.

Loading never fails for what a submission holds: every fault becomes a finding, so that one bad submission does not stop
the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from xlir_bench.encoders.manifest import FILE as MANIFEST
from xlir_bench.encoders.manifest import Manifest
from xlir_bench.errors import InputError, MissingResourceError, printable
from xlir_bench.results.exchange import Entry
from xlir_bench.results.schema import SCHEMA_VERSION, Result
from xlir_bench.submissions import imported, untrusted
from xlir_bench.submissions.declared import as_declared, contradiction, named_audits
from xlir_bench.submissions.untrusted import File

CARD = "README.md"
RESULTS = "results"
RUNS = "runs"

Severity = Literal["error", "warning", "note"]
Kind = Literal["measured", "imported", "declared"]


@dataclass(frozen=True)
class Finding:
    """Something to say about a submission.

    Attributes:
        severity: an error keeps it from being complete; a warning and a note do not.
        place: file, and field where there is one.
        what: what is wrong and how to mend it. Parts of it are text of the submission, in one printable line: escape it
            wherever it is shown.
    """

    severity: Severity
    place: str
    what: str


@dataclass(frozen=True)
class Submission:
    """What could be read of a submission.

    Attributes:
        folder: where it lies.
        name: the folder's name.
        declared: the manifest's document, before it was checked; empty if there is none.
        manifest: the manifest; None if it is missing or wrong.
        card: the text of its README.md; None if there is none. Text of a stranger: escape it wherever it is shown.
        results: the results that could be read, with the way to their ranks. What the manifest declares of the model
            stands in them, whatever they were made with.
        imported: figures that were published elsewhere; None if it has none, which makes it *measured*.
        files: what is there.
        findings: what was found while reading.
    """

    folder: Path
    name: str
    declared: dict[str, Any] = field(default_factory=dict)
    manifest: Manifest | None = None
    card: str | None = None
    results: tuple[Entry, ...] = ()
    imported: imported.Imported | None = None
    files: tuple[File, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def kind(self) -> Kind:
        """Whether its figures were measured with this harness or published elsewhere.

        A manifest alone is `declared`: an encoder that can be run by its name, with no claim made.
        """
        if self.imported is not None:
            return "imported"
        return "declared" if [file.name for file in self.files] == [MANIFEST] else "measured"


def find(places: Sequence[Path]) -> list[Path]:
    """The submissions' folders: each place that is one, or those directly in it.

    Raises:
        MissingResourceError: a place is no folder, or there is no submission in it.
    """
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            raise MissingResourceError(f"{printable(place)}: no such folder")
        inside = [place] if _is_submission(place) else sorted(path for path in place.iterdir() if _is_submission(path))
        if not inside:
            raise MissingResourceError(
                f"{printable(place)}: no submission in it; begin one with `xlir-bench submit new NAME`"
            )
        found += inside
    return found


def load(folder: Path) -> Submission:
    """Read a submission. What is wrong with it is in its findings."""
    files, refused = untrusted.inventory(folder)
    findings = [Finding("error", folder.name, line) for line in refused]
    names = {file.name: file for file in files}
    name = folder.resolve().name
    if imported.FILE in names:
        try:
            published = imported.read(names[imported.FILE].path)
        except InputError as error:
            findings.append(_finding(imported.FILE, error))
            return Submission(folder, name, files=tuple(files), findings=tuple(findings))
        return Submission(folder, name, imported=published, files=tuple(files), findings=tuple(findings))
    declared, manifest = _manifest(names.get(MANIFEST), findings)
    results = _results(files, findings)
    if manifest is not None:
        results = _as_declared(results, manifest, name, files, findings)
    return Submission(
        folder,
        name,
        declared,
        manifest,
        _card(names.get(CARD), findings),
        tuple(results),
        None,
        tuple(files),
        tuple(findings),
    )


def read_result(path: Path) -> Result:
    """A result that someone else wrote.

    Raises:
        InputError: it is none, or of another schema.
    """
    content = untrusted.parse_json(untrusted.read_bytes(path), path.name)
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{path.name}: not a result of schema {SCHEMA_VERSION}; run the model again")
    try:
        return Result.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path.name}: not a result: {'; '.join(problems(error))}") from None


def problems(error: ValidationError, most: int = 5) -> list[str]:
    """What pydantic found wrong, as `field: what` in printable lines."""
    kinds = {"missing": "is missing", "extra_forbidden": "is not a field"}
    lines = []
    for one in error.errors(include_url=False, include_input=False)[:most]:
        place = ".".join(str(part) for part in one["loc"]) or "the document"
        lines.append(printable(f"{place}: {kinds.get(one['type']) or one['msg'].removeprefix('Value error, ')}"))
    more = error.error_count() - len(lines)
    return [*lines, f"{more} more"] if more > 0 else lines


def _is_submission(folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    return any((folder / name).is_file() for name in (MANIFEST, imported.FILE)) or (folder / RESULTS).is_dir()


def _finding(place: str, error: InputError) -> Finding:
    return Finding("error", place, printable(error, 500))


def _manifest(file: File | None, findings: list[Finding]) -> tuple[dict[str, Any], Manifest | None]:
    if file is None:
        findings.append(Finding("error", MANIFEST, "is missing: `xlir-bench submit new NAME` writes one to fill in"))
        return {}, None
    try:
        declared = untrusted.parse_yaml(untrusted.read_text(file.path), MANIFEST)
    except InputError as error:
        findings.append(_finding(MANIFEST, error))
        return {}, None
    if not isinstance(declared, dict):
        findings.append(Finding("error", MANIFEST, "fields such as `name: my-encoder` were expected"))
        return {}, None
    # What is left empty is explained by `validate`; the schema is to judge what was written.
    written = {name: value for name, value in declared.items() if value is not None}
    try:
        return declared, Manifest.model_validate(written)
    except ValidationError as error:
        for line in problems(error, most=20):
            if line.partition(":")[0] not in declared or declared[line.partition(":")[0]] is not None:
                findings.append(Finding("error", MANIFEST, line))
        return declared, None


def _card(file: File | None, findings: list[Finding]) -> str | None:
    if file is None:
        return None
    try:
        return untrusted.read_text(file.path)
    except InputError as error:
        findings.append(_finding(CARD, error))
        return None


def _results(files: Sequence[File], findings: list[Finding]) -> list[Entry]:
    entries = []
    for file in files:
        if not file.name.startswith(f"{RESULTS}/") or not file.name.endswith(".json"):
            continue
        try:
            entries.append(Entry(read_result(file.path), file.path))
        except InputError as error:
            findings.append(_finding(file.name, error))
    return entries


def _as_declared(
    results: Sequence[Entry], manifest: Manifest, name: str, files: Sequence[File], findings: list[Finding]
) -> list[Entry]:
    audits = list(named_audits(manifest, files))
    declared = [as_declared(entry, manifest, name, audits) for entry in results]
    for before, now in zip(results, declared, strict=True):
        wrong = contradiction(before, now)
        if wrong is not None:
            findings.append(Finding("error", f"{RESULTS}/{before.path.name}", wrong))
    return declared
