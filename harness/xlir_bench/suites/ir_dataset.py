"""Collections that the library ir_datasets knows, by their id: `beir/scifact/test`, `miracl/ar/dev`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, unknown_name
from xlir_bench.languages import UNKNOWN_LANGUAGE, normalise
from xlir_bench.suites.beir import SelfMatches
from xlir_bench.suites.judged import judged_collection, without_self_matches
from xlir_bench.suites.library import LibraryRecords, LibrarySource, library, library_data, library_version
from xlir_bench.suites.names import LibraryName
from xlir_bench.suites.qrels import Qrel
from xlir_bench.suites.stored import read_records

_OF_DOCUMENTS = re.compile(r"beir/(arguana|quora)(/|$)")
"""Collections whose queries are documents of the pool."""


class IrDatasetsSource(LibrarySource):
    """A dataset of ir_datasets that has documents, queries and judgements.

    Texts are what the library calls their default text, documents' without white space around it.

    Attributes:
        id: the library's name of it.
        self_matches: whether a document with a query's own id stays in that query's ranking; by default it is removed
            in BEIR's ArguAna and Quora, whose queries are documents of the pool, and kept elsewhere.
    """

    empty_documents: ClassVar[bool] = True

    reader: Literal["ir_datasets"]
    id: LibraryName
    self_matches: SelfMatches | None = None

    def languages(self) -> tuple[str, str]:
        """The codes of queries and documents; `und` where the library does not state them.

        Raises:
            MissingResourceError: ir_datasets is not installed.
            InputError: it has no such dataset, or the dataset lacks queries, documents or judgements.
        """
        dataset = _dataset(self.id)
        return _stated(dataset.queries_lang()), _stated(dataset.docs_lang())

    def independent(self, languages: Sequence[str]) -> bool:
        """See `Source.independent`."""
        return len(set(self.languages())) == 1

    def collection(self, languages: Sequence[str]) -> Collection:
        """See `LibrarySource.collection`."""
        dataset = _dataset(self.id)
        query_language, document_language = self.languages()
        if len(languages) == 1:
            # What the library does not state, the one language that was chosen names.
            query_language, document_language = (
                languages[0] if code == UNKNOWN_LANGUAGE else code for code in (query_language, document_language)
            )
        with library_data(f"ir_datasets:{self.id}"):
            return self._read(dataset, query_language, document_language)

    def _read(self, dataset: Any, query_language: str, document_language: str) -> Collection:  # noqa: ANN401
        name = f"ir_datasets:{self.id}"
        rows = partial(_documents, dataset)
        identity = (library_version("ir_datasets"), str(dataset.docs_count()))
        size = dataset.docs_count() or 0
        documents = read_records(LibraryRecords(name, identity, size, rows, document_language))
        asked = {query.query_id: query.default_text() for query in dataset.queries_iter()}
        qrels = (
            Qrel(line, row.query_id, row.doc_id, float(row.relevance))
            for line, row in enumerate(dataset.qrels_iter(), start=1)
        )
        judged = judged_collection(name, qrels, asked, documents, query_language, "")
        removed = self.self_matches or ("removed" if _OF_DOCUMENTS.match(self.id) else "kept")
        return without_self_matches(judged) if removed == "removed" else judged


def _dataset(name: str) -> Any:  # noqa: ANN401  (the library makes its classes as it goes)
    package = library("ir_datasets", f"ir_datasets:{name}")
    try:
        dataset = package.load(name)
    except KeyError:
        raise unknown_name("dataset of ir_datasets", name, list(package.registry), "see ir-datasets.com") from None
    lacking = [
        kind
        for kind, has in (
            ("documents", dataset.has_docs()),
            ("queries", dataset.has_queries()),
            ("judgements", dataset.has_qrels()),
        )
        if not has
    ]
    if lacking:
        raise InputError(f"ir_datasets:{name}: it has no {' and no '.join(lacking)}; name a part of it that has")
    return dataset


def _stated(language: str | None) -> str:
    try:
        return normalise(language or "")
    except InputError:
        return UNKNOWN_LANGUAGE


def _documents(dataset: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    for document in dataset.docs_iter():
        yield document.doc_id, document.default_text().strip()
