"""Results that mteb publishes, as imported submissions: from an unpacked folder or straight from the archive.

The layout is that of embeddings-benchmark/results: `results/<org>__<model>/<revision>/<Task>.json` beside a
`model_meta.json`. Files are read one after the other, and of each only the figures that are kept stay in memory.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from lzma import LZMAError
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from xlir_bench.encoders.protocol import Similarity
from xlir_bench.errors import InputError, MissingResourceError, first_problem, printable
from xlir_bench.files import replacing
from xlir_bench.languages import is_listed, normalise
from xlir_bench.results.exchange.mteb_tasks import MTEB_TASKS, MtebTask, mteb_key
from xlir_bench.submissions.imported import FILE, Imported, ImportedModel, ImportedResult, ImportedRow, summary
from xlir_bench.submissions.untrusted import MIB, parse_json, read_bytes

KEPT = ("nDCG@10", "R@1", "R@10", "R@100", "RR@10", "AP@1000")
"""The measures that are kept: those our suites use, as near as mteb publishes them."""

_META = "model_meta.json"
_MOST_FILES = 200_000
_MOST_BYTES = 8 * MIB
_UNKNOWN_REVISIONS = ("", "none", "main", "dataset revision not available", "no_revision_available")


_DAMAGED = (tarfile.TarError, EOFError, OSError, LZMAError, ValueError, zlib.error)
"""What reading a damaged archive raises, by the way in which it is compressed."""


@dataclass
class Report:
    """What an import did.

    Attributes:
        submissions: names of what was written.
        results: how many results they hold, by kind: `complete`, `partial`, `stale`.
        passed_over: files of tasks that have no place here.
        problems: a line for each file that could not be used, and why.
    """

    submissions: list[str] = field(default_factory=list)
    results: dict[str, int] = field(default_factory=lambda: {"complete": 0, "partial": 0, "stale": 0})
    passed_over: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Encoder:
    """What was found of one encoder at one revision so far."""

    folder: str
    revision: str
    meta: ImportedModel | None = None
    results: list[ImportedResult] = field(default_factory=list)


def import_mteb(source: Path, output: Path) -> Report:
    """Write a submission per encoder and revision.

    Args:
        source: a `.tar`, `.tar.gz` or `.tar.xz` archive, or a folder, that holds `<org>__<model>/<revision>/*.json` at
            any depth.
        output: the folder of submissions. An earlier import of the same encoder and revision is replaced, and nothing
            else is touched.

    Raises:
        MissingResourceError: there is no such file or folder, or a submission cannot be written.
        InputError: it holds no result that has a place here, or it is no archive.
    """
    report = Report()
    encoders: dict[tuple[str, str], _Encoder] = {}
    for place, content in _files(source, report):
        model, revision, name = place
        encoder = encoders.setdefault((model, revision), _Encoder(model, revision))
        where = f"{model}/{revision}/{name}"
        try:
            if name == _META:
                encoder.meta = _model(parse_json(content, where, as_it_is=True), encoder)
            else:
                encoder.results += _results(parse_json(content, where, as_it_is=True), where)
        except ValidationError as error:
            report.problems.append(f"{printable(where)}: {printable(first_problem(error))}")
        except InputError as error:
            report.problems.append(printable(error))
    found = [encoder for _, encoder in sorted(encoders.items()) if encoder.results]
    if not found:
        raise InputError(f"{source}: no results of mteb that have a place here; see docs/exchange.md for the layout")
    for encoder, name in zip(found, _names(found, output), strict=True):
        _write(encoder, output / name / FILE)
        report.submissions.append(name)
        for result in encoder.results:
            kind = "stale" if result.stale else "complete" if result.complete else "partial"
            report.results[kind] += 1
    return report


def _files(source: Path, report: Report) -> Iterator[tuple[tuple[str, str, str], bytes]]:
    """(model, revision, file name) and content of each file of a task that has a place here, or of a description."""
    wanted = {f"{name}.json" for name in MTEB_TASKS} | {_META}
    for seen, (parts, reader) in enumerate(_tree(source) if source.is_dir() else _archive(source)):
        if seen >= _MOST_FILES:
            report.problems.append(f"more than {_MOST_FILES:,} files; the rest was not read")
            return
        if len(parts) < 3 or not parts[-1].endswith(".json"):
            continue
        if parts[-1] not in wanted:
            report.passed_over += 1
            continue
        try:
            # Names of folders need not be UTF-8.
            yield (printable(parts[-3]), printable(parts[-2]), parts[-1]), reader()
        except InputError as error:
            report.problems.append(printable(error))


def _tree(source: Path) -> Iterator[tuple[tuple[str, ...], Any]]:
    for path in sorted(source.rglob("*.json")):
        relative = path.relative_to(source.parent).parts
        yield relative, lambda path=path: read_bytes(path, _MOST_BYTES)


def _archive(source: Path) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Nothing is unpacked to disk, so that no name in the archive can point anywhere."""
    try:
        with tarfile.open(source, "r|*") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                yield tuple(member.name.split("/")), lambda member=member: _member(archive, member)
    except FileNotFoundError:
        raise MissingResourceError(f"{source}: no such file or folder") from None
    except _DAMAGED as error:
        raise InputError(f"{source}: neither a folder nor a tar archive that can be read ({error})") from None


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _MOST_BYTES:
        raise InputError(f"{printable(member.name)}: larger than {_MOST_BYTES // MIB} MiB")
    try:
        file = archive.extractfile(member)
        return file.read(_MOST_BYTES) if file is not None else b""
    except _DAMAGED as error:
        raise InputError(f"{member.name}: damaged ({error})") from None


def _model(meta: object, encoder: _Encoder) -> ImportedModel:
    """From a `model_meta.json`; numbers that are none are unknown, texts are cut at their bound."""
    given = meta if isinstance(meta, dict) else {}

    def text(key: str) -> str | None:
        value = given.get(key)
        return printable(value, 500) if isinstance(value, str) and value.strip() else None

    def number(key: str) -> int | None:
        value = given.get(key)
        plain = isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= 10**14
        return int(value) if plain else None  # type: ignore[arg-type]

    trained = given.get("training_datasets")
    names = list(trained) if isinstance(trained, (list, dict)) else None
    listed = given.get("languages")
    ours = dict.fromkeys(_listed_languages(listed if isinstance(listed, list) else []))
    return ImportedModel(
        name=text("name") or encoder.folder.replace("__", "/", 1),
        revision=encoder.revision,
        licence=text("license"),
        reference=text("reference"),
        released=text("release_date"),
        parameters=number("n_parameters"),
        dimensions=number("embed_dim"),
        max_length=number("max_tokens"),
        similarity=_similarity(given),
        trained_on=tuple(sorted({printable(name) for name in names})) if names is not None else None,
        languages=tuple(ours),
    )


def _similarity(meta: Mapping[str, Any]) -> Similarity | None:
    """How vectors are compared: as mteb states it, else as our export states it beside mteb's fields."""
    ours = meta.get("xlir_bench")
    stated = (meta.get("similarity_fn_name"), ours.get("similarity") if isinstance(ours, dict) else None)
    return next((known for name in stated for known in get_args(Similarity) if known == name), None)


def _listed_languages(tags: list[object]) -> Iterator[str]:
    """The codes of tags such as `deu-Latn`, of the languages that the table lists; scripts are not told apart."""
    for tag in tags:
        if is_listed(str(tag)):
            yield normalise(str(tag)).partition("-")[0]


def _results(document: object, where: str) -> Iterator[ImportedResult]:
    """The results in one task's file, one for each of its splits that the task evaluates on."""
    if not isinstance(document, dict):
        raise InputError(f"{where}: not a result of mteb")
    task = MTEB_TASKS.get(str(document.get("task_name") or document.get("mteb_dataset_name")))
    if task is None or where.rpartition("/")[2] != f"{task.name}.json":
        raise InputError(f"{where}: the file says that it is of another task")
    revision = document.get("dataset_revision")
    named = revision if isinstance(revision, str) and revision.lower() not in _UNKNOWN_REVISIONS else None
    version = document.get("mteb_version")
    for split in task.splits:
        subsets = dict(_subsets(document, split))
        rows = tuple(_rows(task, subsets, f"{where}: {split}"))
        if not rows:
            continue
        missing = tuple(subset for subset in task.subsets if subset not in subsets)
        yield ImportedResult(
            task=task.name,
            split=split,
            dataset_revision=named,
            stale=named != task.revision,
            suite=task.suite,
            harness=version if isinstance(version, str) else None,
            subsets=len(task.subsets),
            missing=missing,
            rows=rows,
            summary={} if missing else summary(rows),
        )


def _subsets(document: Mapping[str, Any], split: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Subset -> scores of a split, in either of mteb's layouts: before release 1.11 a split stood at the top."""
    scores = document.get("scores")
    if isinstance(scores, dict):
        listed = scores.get(split, [])
        for row in listed if isinstance(listed, list) else []:
            if isinstance(row, dict):
                yield str(row.get("hf_subset")), row
        return
    old = document.get(split)
    if isinstance(old, dict):
        nested = {name: part for name, part in old.items() if isinstance(part, dict)}
        yield from (nested or {"default": old}).items()


def _rows(task: MtebTask, subsets: Mapping[str, Mapping[str, Any]], where: str) -> Iterator[ImportedRow]:
    """In mteb's MLQARetrieval a subset's first language is that of the corpus; the task's table knows."""
    for subset, (query, document) in task.subsets.items():
        if subset not in subsets:
            continue
        values = {}
        for measure in KEPT:
            value = subsets[subset].get(mteb_key(measure) or "")
            if isinstance(value, (int, float)):
                if not 0 <= value <= 1:
                    raise InputError(f"{where}: {subset}: {measure} is {value}, and a share was expected")
                values[measure] = round(float(value), 6)
        yield ImportedRow(
            setting="monolingual" if query == document else "cross-lingual",
            query_language=query,
            document_language=document,
            values=values,
        )


def _names(encoders: Iterable[_Encoder], output: Path) -> Iterator[str]:
    """A name for each that is a plain folder's, readable, and the same in every import: model and revision."""
    taken: set[str] = set()
    for encoder in encoders:
        plain = re.sub(r"[^a-z0-9._-]+", "-", f"{encoder.folder}.{encoder.revision[:8]}".lower()).strip(".-_")
        name = plain.replace("..", ".")[:80].rstrip(".-_")
        other = (output / name).exists() and not (output / name / FILE).is_file()
        if not name or name in taken or other or len(plain) > 80:
            digest = hashlib.sha256(f"{encoder.folder}\0{encoder.revision}".encode()).hexdigest()[:8]
            name = f"{name[:70] or 'model'}.{digest}"
        taken.add(name)
        yield name


def _write(encoder: _Encoder, path: Path) -> None:
    model = encoder.meta or _model({}, encoder)
    imported = Imported(origin="mteb", model=model, results=tuple(encoder.results))
    with replacing(path) as temporary:
        temporary.write_text(imported.model_dump_json() + "\n", encoding="utf-8")
