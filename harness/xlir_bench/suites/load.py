"""From a suite's declaration to its collection: find the folder, check the files, read them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, MissingResourceError, unknown_name
from xlir_bench.resources import folder
from xlir_bench.suites.schema import Expectation, Suite


def load(suite: Suite, data: Path | None = None, languages: Sequence[str] | None = None) -> Collection:
    """The suite's collection, validated.

    Args:
        suite: what to load.
        data: searched first, as `data/<suite name>/` and as `data/` itself; then the folder named by the environment
            variable XLIR_BENCH_DATA, then the package.
        languages: a part of the suite's languages; all by default. Only their files are read.

    Raises:
        MissingResourceError: the files are nowhere.
        InputError: a language is not the suite's, a file is damaged, or the collection cannot be scored.
    """
    codes = _chosen(suite, languages)
    place = locate(suite, data, codes)
    suite.source.require(place, codes)
    collection = suite.source.read(place, codes)
    collection.validate(f"suite {suite.name} in {place}")
    return collection


def locate(suite: Suite, data: Path | None, languages: Sequence[str]) -> Path:
    """The folder that holds the suite's files.

    Raises:
        MissingResourceError: no searched folder holds any of them; the message lists the folders.
    """
    roots = [Path(root) for root in (data, os.environ.get("XLIR_BENCH_DATA")) if root]
    candidates = [place for root in roots for place in (root / suite.name, root)]
    candidates.append(folder("suites") / suite.name)
    names = suite.source.files(languages)
    for place in candidates:
        if any((place / name).is_file() for name in names):
            return place
    looked = ", ".join(str(place) for place in candidates)
    origin = f" They are published at {suite.source.url}." if suite.source.url else ""
    raise MissingResourceError(
        f"suite {suite.name}: its files ({names[0]}, ...) are in none of {looked}.{origin} "
        f"Put them into DIR/{suite.name}/ and give --data DIR"
    )


@dataclass(frozen=True)
class LanguageCheck:
    """What a suite holds in one language, beside what was published.

    Attributes:
        language: code.
        queries, documents: how many there are.
        judged: how many of the queries have a relevant document in this language.
        expected_queries, expected_documents: as published; None where nothing was.
    """

    language: str
    queries: int
    documents: int
    judged: int
    expected_queries: int | None
    expected_documents: int | None

    @property
    def holds(self) -> bool:
        """Whether the counts are the published ones."""
        queries = self.expected_queries in (None, self.queries)
        return queries and self.expected_documents in (None, self.documents)


def check(suite: Suite, collection: Collection) -> list[LanguageCheck]:
    """Count a loaded collection, language by language, in the suite's order."""
    judgements, queries, documents = collection.judgements, collection.queries, collection.documents
    document_codes = [documents.languages[d] for d in judgements.document]
    judged: dict[str, set[int]] = {}
    for query, code, gain in zip(judgements.query, document_codes, judgements.gain, strict=True):
        if gain > 0 and queries.languages[query] == code:
            judged.setdefault(code, set()).add(int(query))
    present = [code for code in suite.languages if code in collection.languages]
    return [
        LanguageCheck(
            code,
            len(queries.rows_by_language.get(code, ())),
            len(documents.rows_by_language.get(code, ())),
            len(judged.get(code, ())),
            Expectation.count(suite.expect.queries, code),
            Expectation.count(suite.expect.documents, code),
        )
        for code in present
    ]


def _chosen(suite: Suite, languages: Sequence[str] | None) -> tuple[str, ...]:
    if languages is None:
        return suite.languages
    if not languages:
        raise InputError(f"suite {suite.name}: no language was chosen; it has {' '.join(suite.languages)}")
    for code in languages:
        if code not in suite.languages:
            raise unknown_name(
                f"language of suite {suite.name}", code, suite.languages, f"it has {' '.join(suite.languages)}"
            )
    return tuple(code for code in suite.languages if code in set(languages))
