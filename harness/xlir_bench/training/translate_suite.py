"""A suite in languages that it does not have, as a folder that `xlir-bench run --suite FOLDER` measures on."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from xlir_bench.collection import SETTINGS, Collection, Judgements, Texts
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites.check import check
from xlir_bench.suites.load import load
from xlir_bench.suites.own import declared_by_folder
from xlir_bench.suites.schema import Suite
from xlir_bench.suites.translated import MachineTranslation, Writer
from xlir_bench.training.translation import Work

Part: TypeAlias = Literal["queries", "documents"]

_AT_ONCE = 8192
_REFUSED = "refused.jsonl"


@dataclass(frozen=True, slots=True)
class Extension:
    """What is translated.

    Attributes:
        suite: what the collection was read from.
        source: the language that is translated; what the suite has in others is left out.
        targets: the languages that it is translated into.
        parts: queries, documents or both. What is not translated stays in the source language alone.
    """

    suite: Suite
    source: str
    targets: tuple[str, ...]
    parts: tuple[Part, ...] = ("queries", "documents")

    def languages(self, part: Part) -> list[str]:
        """The languages that a side will have."""
        return [self.source, *(self.targets if part in self.parts else ())]


def default_name(suite: Suite, translator: str) -> str:
    """What a suite is called once it is translated: `scifact-mt-m2m100_418m`."""
    model = translator.partition("@")[0].rpartition("/")[2].lower()
    return f"{suite.name}-mt-{re.sub(r'[^a-z0-9._-]+', '-', model)}"


def translate_suite(collection: Collection, extension: Extension, work: Work, folder: Path) -> Suite:
    """Write a suite in its source language and the targets. The folder appears when all of it is there.

    Judgements and exclusions are carried over to every version of query and document. A text whose translation is
    refused is not in that language, and neither are its judgements; the declaration says how many there were.

    Args:
        collection: of the suite, with the source language at least.
        extension: what is translated.
        work: how.
        folder: where the suite is written; must not exist. Its name is the suite's.

    Returns:
        The suite that was written, with the counts and the fingerprint of what can be read from it.

    Raises:
        InputError: the suite has no texts in the source language, a target is it, the translator does not know a
            language, or the folder exists.
        MissingResourceError: the folder or the cache cannot be written.
    """
    _check(collection, extension, work, folder)
    part = collection.select([extension.source])
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise MissingResourceError(f"cannot write {folder}: {error.strerror}; choose another place") from None
    try:
        writer = Writer(unfinished)
        _write_side(writer, "queries", part.queries, extension, work)
        _write_side(writer, "documents", part.documents, extension, work)
        writer.judge(_named(part, part.judgements, extension.source))
        if len(part.excluded):
            writer.judge(_named(part, part.excluded, extension.source), excluded=True)
        declaration = _declaration(part, extension, work, folder.name)
        writer.declare(declaration)
        declaration["expect"] = _expectation(unfinished)
        declaration["source"]["sha256"] = writer.hashes()
        writer.declare(declaration)
        work.report.write_refusals(unfinished / _REFUSED)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return declared_by_folder(folder)


def _check(collection: Collection, extension: Extension, work: Work, folder: Path) -> None:
    suite, source = extension.suite, extension.source
    if source not in collection.documents.sizes or source not in collection.queries.sizes:
        raise InputError(
            f"suite {suite.name} has no queries and documents in {source}; it has {' '.join(suite.languages)}"
        )
    if source in extension.targets:
        raise InputError(f"{source} is what is translated; leave it out of the languages to translate into")
    if folder.exists():
        raise InputError(f"{folder}: exists already; name another folder, or delete it")
    work.translator.check([source, *extension.targets])


def _write_side(writer: Writer, part: Part, side: Texts, extension: Extension, work: Work) -> None:
    for language in extension.languages(part):
        texts = _unprefixed(side, extension.source)
        while rows := list(islice(texts, _AT_ONCE)):
            if language == extension.source:
                writer.add(part, language, rows)
                continue
            # Some published collections have documents without a text, which stay what they are.
            kept = {"": "", **work.kept((text for _, text in rows if text.strip()), extension.source, language)}
            writer.add(part, language, ((name, kept[text]) for name, text in rows if text in kept))


def _unprefixed(side: Texts, source: str) -> Iterator[tuple[str, str]]:
    """Id, without the language before it, and text."""
    return ((name.removeprefix(f"{source}:"), text) for name, text in zip(side.ids, side.texts, strict=True))


def _named(part: Collection, pairs: Judgements, source: str) -> Iterator[tuple[str, str, float]]:
    for query, document, gain in zip(pairs.query.tolist(), pairs.document.tolist(), pairs.gain.tolist(), strict=True):
        asked, answer = part.queries.ids[query], part.documents.ids[document]
        yield asked.removeprefix(f"{source}:"), answer.removeprefix(f"{source}:"), gain


def _declaration(part: Collection, extension: Extension, work: Work, name: str) -> dict[str, Any]:
    suite, targets = extension.suite, list(extension.targets)
    translated = " and ".join(extension.parts)
    left_out = {code: sum(work.report.refused(code).values()) for code in targets}
    by = MachineTranslation(
        model=work.translator.name,
        fingerprint=work.translator.fingerprint,
        suite=suite.name,
        version=suite.version,
        collection=part.fingerprint,
        language=extension.source,
        queries=tuple(targets) if "queries" in extension.parts else (),
        documents=tuple(targets) if "documents" in extension.parts else (),
        left_out={code: count for code, count in left_out.items() if count},
    )
    return {
        "name": name,
        "version": 1,
        "title": f"{suite.title}, machine-translated",
        "description": f"{suite.title} with {translated} translated from {extension.source} by {work.translator.name}.",
        "licence": suite.licence,
        "citation": suite.citation,
        "languages": [extension.source, *targets],
        "source": {
            "reader": "translated",
            "queries": extension.languages("queries"),
            "documents": extension.languages("documents"),
            "exclusions": bool(len(part.excluded)),
        },
        "settings": _settings(suite, extension),
        "machine_translated": by.model_dump(mode="json"),
    }


def _settings(suite: Suite, extension: Extension) -> dict[str, list[str]]:
    """The suite's own measures in every setting the languages allow; in the whole pool rank distance too."""
    own = {**suite.optional_settings, **suite.settings}
    first = next(iter(suite.settings.values()))
    own.setdefault("multilingual", (*first, "rank_distance"))
    pools = len(extension.languages("documents"))
    return {setting: list(own.get(setting, first)) for setting in SETTINGS if setting != "multilingual" or pools > 1}


def _expectation(folder: Path) -> dict[str, Any]:
    """What is read from a folder that was just written: counts by language and the fingerprint."""
    suite = declared_by_folder(folder)
    collection = load(suite)
    rows = check(suite, collection)
    counts = {
        kind: {row.language: getattr(row, kind) for row in rows} for kind in ("queries", "documents", "judgements")
    }
    return {**counts, "fingerprint": collection.fingerprint}
