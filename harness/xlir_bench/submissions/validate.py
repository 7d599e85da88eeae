"""Whether a submission is complete and says what a reader needs: names, licence, training data, languages, results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from pydantic import ValidationError

from xlir_bench.encoders.audited import read_audit
from xlir_bench.encoders.manifest import FILE as MANIFEST
from xlir_bench.encoders.manifest import Manifest
from xlir_bench.errors import InputError, counted, printable
from xlir_bench.results import Question, name_of_data, ranks_path
from xlir_bench.results.exchange import Entry
from xlir_bench.results.zero_shot import zero_shot_on
from xlir_bench.submissions.measured import adapter_of
from xlir_bench.submissions.skeleton import TO_WRITE
from xlir_bench.submissions.submission import CARD, RESULTS, Finding, Severity, Submission
from xlir_bench.suites import Suite, find, shipped

_TO_DECLARE = {
    "licence": "under which licence the weights may be used: an SPDX expression such as MIT or CC-BY-SA-4.0",
    "trained_on": "on which collections it was trained, its base model included; [] says that there are none. "
    "From this follows on which suites it is zero-shot",
    "description": "what it is, in one sentence",
}
_WELCOME = {
    "parameters": "how many the model has",
    "contact": "who answers questions about it, an e-mail address or a URL; or delete the line",
}
_SHORTEST_CARD = 200


def validate(submission: Submission) -> list[Finding]:
    """Everything to say about a submission: what was found while reading it, and what it lacks.

    It is complete where no finding is an error.
    """
    findings = list(submission.findings)
    if submission.imported is not None:
        findings += [
            Finding("note", f"{one.task} {one.split}", f"stale: data of {printable(one.dataset_revision or 'unknown')}")
            for one in submission.imported.results
            if one.stale
        ]
        return findings
    if not submission.declared and not submission.results and findings:
        return findings
    findings += _declaration(submission)
    if submission.kind == "declared":
        return [*findings, Finding("note", submission.name, "an encoder is declared; there is no card and no result")]
    findings += _card(submission)
    findings += _results(submission)
    return findings


def spdx(licence: str) -> str | None:
    """What is wrong with a licence expression, or None (SPDX specification, annex D; `LicenseRef-` names are taken)."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression(licence)
    except InvalidLicenseExpression as error:
        return printable(error)
    return None


def _declaration(submission: Submission) -> Iterator[Finding]:
    declared, manifest = submission.declared, submission.manifest or _provisional(submission)
    if declared:
        for name, meaning in _TO_DECLARE.items():
            if declared.get(name) is None:
                yield Finding("error", f"{MANIFEST}: {name}", f"is not filled in: {meaning}")
        for name, meaning in _WELCOME.items():
            if declared.get(name) is None and (name in declared or name == "parameters"):
                yield Finding("warning", f"{MANIFEST}: {name}", f"is not filled in: {meaning}")
    if manifest is None:
        return
    if manifest.name != submission.name:
        yield Finding(
            "error",
            f"{MANIFEST}: name",
            f"is {printable(manifest.name)!r}, and the folder is {printable(submission.name)!r}; they must be equal",
        )
    wrong = spdx(manifest.licence)
    if wrong is not None and submission.manifest is not None:
        yield Finding(
            "error",
            f"{MANIFEST}: licence",
            f"not an SPDX expression ({wrong}); write one such as Apache-2.0, or LicenseRef-NAME, its terms in {CARD}",
        )
    yield from _source(submission, manifest)
    yield from _named_audits(submission, manifest)


def _provisional(submission: Submission) -> Manifest | None:
    """The manifest as it will be once its licence is filled in, so that all that is missing is said at once."""
    written = {name: value for name, value in submission.declared.items() if value is not None}
    try:
        return Manifest.model_validate({"licence": "LicenseRef-none"} | written)
    except ValidationError:
        return None


def _source(submission: Submission, manifest: Manifest) -> Iterator[Finding]:
    """Files that the manifest names must be in the submission's folder."""
    source = manifest.source
    for name, place in (("folder", source.folder), ("embeddings", source.embeddings)):
        if place is None or (name == "folder" and "source" not in submission.declared):
            continue
        path = PurePosixPath(place)
        where = f"{MANIFEST}: source.{name}"
        if path.is_absolute() or ".." in path.parts or "\\" in place or "\0" in place:
            yield Finding("error", where, f"{printable(place)!r} leaves the submission's folder")
            continue
        prefix = "" if path == PurePosixPath(".") else f"{path}/"
        inside = [file for file in submission.files if file.name.startswith(prefix) or file.name == str(path)]
        if not inside:
            yield Finding("error", where, f"there is nothing at {printable(place)!r}")
        elif name == "folder" and not any(file.name.endswith(".safetensors") for file in inside):
            yield Finding("error", where, "no weights there; they have to be in safetensors files")


def _card(submission: Submission) -> Iterator[Finding]:
    card = submission.card
    if card is None:
        yield Finding("error", CARD, "is missing: what the encoder is, how it was trained, where it fails")
        return
    waiting = card.count(TO_WRITE)
    if waiting:
        yield Finding("error", CARD, f"{waiting} places still wait to be written (look for {TO_WRITE!r})")
    elif len(card.strip()) < _SHORTEST_CARD:
        yield Finding("error", CARD, "says next to nothing: what the encoder is, how it was trained, where it fails")


def _results(submission: Submission) -> Iterator[Finding]:
    entries = submission.results
    if not entries:
        unread = any(finding.place.startswith(f"{RESULTS}/") for finding in submission.findings)
        if not unread:
            yield Finding("error", f"{RESULTS}/", "holds no result: copy SUITE.json and SUITE.parquet of a run there")
        return
    models = {entry.result.model.fingerprint for entry in entries}
    if len(models) > 1:
        yield Finding("error", f"{RESULTS}/", f"the results are of {len(models)} different models; one is submitted")
    for entry in entries:
        place = f"{RESULTS}/{entry.path.name}"
        yield from (Finding(severity, place, what) for severity, what in _result(submission, entry))


def _result(submission: Submission, entry: Entry) -> Iterator[tuple[Severity, str]]:
    result = entry.result
    suite = result.suite
    if entry.path.stem not in {suite.name, name_of_data(suite), Question.of(result).file_name()}:
        yield "error", f"is a result on {printable(suite.name)!r}; name it after its suite"
    if not entry.has_ranks:
        yield "error", f"{ranks_path(entry.path).name} is not beside it, so that no figure can be checked; copy it too"
    if submission.manifest is not None:
        yield from _agreement(submission.manifest, entry)
        seen = zero_shot_on(result.model, suite)
        if seen.holds is False:
            found = printable(", ".join(seen.because))
            yield "note", f"not zero-shot: {found}" if seen.audited else f"not zero-shot: it was trained on {found}"
        elif seen.audited:
            rest = f"; of {printable(', '.join(seen.unaudited))} it is declared only" if seen.unaudited else ""
            yield "note", f"zero-shot: an audit found none of its texts in the training data{rest}"
    if suite.name not in shipped():
        yield "warning", f"the suite {printable(suite.name)!r} is not of this release: its completeness is not checked"
        return
    yield from _completeness(find(suite.name), entry)


def _named_audits(submission: Submission, manifest: Manifest) -> Iterator[Finding]:
    """Each audit record that the manifest names must be in the submission, and be one."""
    inside = {file.name: file.path for file in submission.files}
    for name in manifest.audits:
        if name not in inside:
            yield Finding("error", f"{MANIFEST}: audits", f"there is nothing at {printable(name)!r}")
            continue
        try:
            read_audit(inside[name])
        except InputError as error:
            yield Finding("error", name, printable(error, 300))


def _agreement(manifest: Manifest, entry: Entry) -> Iterator[tuple[Severity, str]]:
    """What the result was made with, against what the manifest declares."""
    model = entry.result.model
    used = adapter_of(model.details)
    if isinstance(used, str) and used != manifest.adapter:
        yield "error", f"was made with the adapter {printable(used)}, and the manifest declares {manifest.adapter}"
    if manifest.prompts is not None and model.prompts != manifest.prompts.model_dump():
        yield "error", f"was made with the prompts {printable(model.prompts)}, and the manifest declares others"
    if manifest.similarity is not None and model.similarity not in (None, manifest.similarity):
        yield "error", f"was measured with {model.similarity}, and the manifest declares {manifest.similarity}"
    if manifest.source.hub is not None and model.revision not in (None, manifest.source.revision):
        yield "error", f"was made with revision {printable(model.revision)}, and the manifest declares another"
    language_support = manifest.languages.language_support()
    if manifest.languages.fallback == "error":
        unknown = [code for code in entry.result.suite.languages if not language_support.knows(code)]
        if unknown:
            yield "error", f"has {printable(' '.join(unknown))}, which the manifest says that the model does not know"


def _completeness(suite: Suite, entry: Entry) -> Iterator[tuple[Severity, str]]:
    """Every row and measure that the suite declares, of every language."""
    result = entry.result
    if result.suite.version != suite.version:
        yield "error", f"is of version {result.suite.version} of the suite; this release has {suite.version}"
        return
    foreign = sorted(set(result.suite.languages) - set(suite.languages))
    lacking = [code for code in suite.languages if code not in result.suite.languages]
    if foreign:
        yield "error", f"has languages that the suite has not: {printable(' '.join(foreign))}"
    if lacking:
        yield "error", f"lacks languages of the suite: {' '.join(lacking)}; run it on all of them"
    for setting, measures in suite.settings.items():
        rows = {(s.query_language, s.document_language, s.measure) for s in result.scores if s.setting == setting}
        present = {(query, document) for query, document, _ in rows}
        if not rows:
            yield "error", f"lacks the {setting} setting"
            continue
        holes = [(q, d, m) for q, d in sorted(present) for m in measures if (q, d, m) not in rows]
        if holes:
            named = printable("-".join(holes[0]))
            yield "error", f"lacks {counted(len(holes), 'figures')} of the {setting} setting, e.g. {named}"
        pairs = len(suite.languages) * (len(suite.languages) - 1)
        if setting == "cross-lingual" and len(present) != pairs:
            yield "warning", f"has {len(present)} of the {pairs} pairs of languages"
        seen = {query for query, _ in present}
        silent = [code for code in result.suite.languages if code not in seen and code in suite.languages]
        if silent:
            yield "error", f"has no {setting} row for {printable(' '.join(silent))}"
