"""Exact ranks by counting: nothing is sorted, and nothing is cut at a depth.

For every relevant document of every query, count how many documents of each language come before it in the query's
ranking. One pass gives every language setting: the rank among the documents of language y is 1 + outranked[y], and in
the whole pool 1 + the sum. The order is trec_eval's: score descending in float32, ties by document id, descending.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Collection, Integers, Judgements, Texts
from xlir_bench.errors import InputError
from xlir_bench.progress import SILENT, Progress
from xlir_bench.retrieval.ranks import NOT_SEARCHED, Leaders, RankTable
from xlir_bench.retrieval.scorers import Scorer, Scores

DEFAULT_BUDGET = 512 * 2**20
"""Bytes that one block of scores may take."""

DEPTH = 100
"""Documents at the top of each ranking that are kept by name, for the measures of what language the top is in."""


def count_outranked(
    scorer: Scorer,
    collection: Collection,
    *,
    across_languages: bool,
    budget: int = DEFAULT_BUDGET,
    progress: Progress = SILENT,
) -> RankTable:
    """Ranks of all relevant documents and, where every language is searched, the first `DEPTH` of each ranking.

    Args:
        scorer: where scores come from.
        collection: what is searched.
        across_languages: search every query in all documents; else only in those of its own language, which is all
            that the monolingual setting needs.
        budget: bytes for one block of scores; a block has at least one query.
        progress: hears of queries done.

    Raises:
        InputError: a score is not a finite number.
    """
    relevant = _relevant(collection)
    languages = tuple(collection.documents.rows_by_language)
    outranked = np.full((len(relevant), len(languages)), NOT_SEARCHED, dtype=np.int32)
    tied = np.zeros(len(relevant), dtype=np.bool_)
    ahead = np.zeros(len(relevant), dtype=np.int32)
    leaders: list[npt.NDArray[np.int32]] = []
    stage = progress.stage("ranking", len(np.unique(relevant.query)), "queries")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for pool, queries in _searches(collection, relevant, across_languages):
            scores = scorer.over(pool.documents)
            block_size = max(1, budget // (4 * len(pool.documents)))
            for start in range(0, len(queries), block_size):
                block = queries[start : start + block_size]
                search = _Block(pool, block, collection, relevant)
                found = search.count(scores, threads, DEPTH if across_languages else 0)
                outranked[np.ix_(search.judgements, pool.language_columns(languages))] = found.outranked
                tied[search.judgements] = found.tied
                ahead[search.judgements] = found.ahead
                leaders.append(found.leaders)
                stage.advance(len(block))
    table = RankTable.of(collection, relevant, languages, outranked, tied)
    if not across_languages:
        return table
    # One pool holds all languages, in the order of the table's: a column of scores is a place in the pool.
    return replace(table, ahead=ahead, leaders=Leaders(np.unique(relevant.query), np.concatenate(leaders)))


def _relevant(collection: Collection) -> Judgements:
    """The judgements with a gain above 0 of documents that their query's ranking does not leave out."""
    judgements, excluded = collection.judgements, collection.excluded
    size = len(collection.documents)
    left_out = np.isin(judgements.query * size + judgements.document, excluded.query * size + excluded.document)
    kept = (judgements.gain > 0) & ~left_out
    return Judgements(judgements.query[kept], judgements.document[kept], judgements.gain[kept])


@dataclass(frozen=True)
class _Pool:
    """Documents in the order of the score matrix's columns.

    Attributes:
        documents: positions in the collection; languages one after the other, ids descending in each.
        languages: those of the documents, in that order.
        bounds: where each language's columns begin, and the end.
        splits: see `kernel.count_block`.
        column_of: position in the collection -> column, -1 for a document that is not in the pool.
        by_id: the columns in the order of their documents' ids, descending.
        place: the place of each column in `by_id`.
    """

    documents: Integers
    languages: tuple[str, ...]
    bounds: Integers
    splits: Integers
    column_of: Integers
    by_id: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]

    @staticmethod
    def of(documents: Texts, languages: tuple[str, ...], place: Integers) -> _Pool:
        """The pool of all documents in `languages`; `place` is each document's place by descending id."""
        parts = [documents.rows_by_language[language] for language in languages]
        parts = [part[np.argsort(place[part])] for part in parts]
        order = np.concatenate(parts)
        bounds = np.cumsum([0] + [len(part) for part in parts])
        splits = np.stack([np.searchsorted(place[part], place[order]) for part in parts], axis=1) + bounds[:-1]
        column_of = np.full(len(documents), -1, dtype=np.int64)
        column_of[order] = np.arange(len(order))
        by_id = np.argsort(place[order]).astype(np.int32)
        place_of = np.empty_like(by_id)
        place_of[by_id] = np.arange(len(by_id), dtype=np.int32)
        return _Pool(order, languages, bounds, splits, column_of, by_id, place_of)

    def language_columns(self, languages: tuple[str, ...]) -> Integers:
        return np.array([languages.index(language) for language in self.languages], dtype=np.int64)


def _searches(collection: Collection, relevant: Judgements, across_languages: bool) -> Iterator[tuple[_Pool, Integers]]:
    """Each pool with the queries that search it and have a relevant document in it."""
    documents = collection.documents
    place = np.empty(len(documents), dtype=np.int64)
    place[sorted(range(len(documents)), key=documents.ids.__getitem__, reverse=True)] = np.arange(len(documents))
    if across_languages:
        yield _Pool.of(documents, tuple(documents.rows_by_language), place), np.unique(relevant.query)
        return
    for language, rows in collection.queries.rows_by_language.items():
        if language in documents.rows_by_language:
            pool = _Pool.of(documents, (language,), place)
            inside = relevant.query[pool.column_of[relevant.document] >= 0]
            queries = np.intersect1d(rows, inside)
            if len(queries):
                yield pool, queries


@dataclass(frozen=True)
class _Found:
    """What one block gives.

    Attributes:
        outranked: (judgements of the block, languages of the pool).
        tied: whether each judged document ties; (judgements of the block,).
        ahead: documents of the pool with a greater score than each judged document; (judgements of the block,).
        leaders: columns of the first documents of each query's ranking, best first, then -1; (queries, depth).
    """

    outranked: npt.NDArray[np.int32]
    tied: npt.NDArray[np.bool_]
    ahead: npt.NDArray[np.int32]
    leaders: npt.NDArray[np.int32]


class _Block:
    """Some queries of a search, with their judgements: the unit of work."""

    def __init__(self, pool: _Pool, queries: Integers, collection: Collection, relevant: Judgements) -> None:
        self._pool, self._queries, self._collection = pool, queries, collection
        first, last = np.searchsorted(relevant.query, [queries[0], queries[-1] + 1])
        within = np.arange(first, last)
        within = within[np.isin(relevant.query[within], queries)]
        self.judgements = within[pool.column_of[relevant.document[within]] >= 0]
        self._columns = pool.column_of[relevant.document[self.judgements]]
        self._starts = np.searchsorted(relevant.query[self.judgements], np.append(queries, queries[-1] + 1))

    def count(self, scores: Callable[[Integers], Scores], threads: ThreadPoolExecutor, depth: int) -> _Found:
        """Counts, ties, and the first `depth` documents of each ranking."""
        from xlir_bench.retrieval.kernel import count_block, lead_block

        block = self._checked(scores(self._queries))
        self._exclude(block)
        outranked = np.empty((len(self.judgements), len(self._pool.languages)), dtype=np.int32)
        tied = np.empty(len(self.judgements), dtype=np.bool_)
        ahead = np.empty(len(self.judgements), dtype=np.int32)
        leaders = np.empty((len(block), depth), dtype=np.int32)

        def part(of: range) -> bool:
            low, high = of.start, of.stop
            starts = self._starts[low : high + 1]
            pool = self._pool
            rows = block[low:high]
            usable = count_block(rows, starts, self._columns, pool.splits, pool.bounds, outranked, tied, ahead)
            if usable and depth:
                lead_block(rows, pool.by_id, pool.place, leaders[low:high])
            return bool(usable)

        step = -(-len(block) // (4 * (os.cpu_count() or 1)))
        parts = [range(low, min(low + step, len(block))) for low in range(0, len(block), step)]
        if not all(threads.map(part, parts)):
            self._refuse(block)
        return _Found(outranked, tied, ahead, leaders)

    def _checked(self, block: Scores) -> Scores:
        shape = (len(self._queries), len(self._pool.documents))
        if block.shape != shape or block.dtype != np.float32:
            raise InputError(
                f"the model gave scores of shape {block.shape}, {block.dtype}; expected {shape}, float32 "
                "(queries x documents)"
            )
        return np.ascontiguousarray(block)

    def _exclude(self, block: Scores) -> None:
        excluded = self._collection.excluded
        if len(excluded):
            inside = np.isin(excluded.query, self._queries) & (self._pool.column_of[excluded.document] >= 0)
            rows = np.searchsorted(self._queries, excluded.query[inside])
            block[rows, self._pool.column_of[excluded.document[inside]]] = -np.inf

    def _refuse(self, block: Scores) -> None:
        row, column = np.argwhere(~(block < np.inf))[0]
        query = self._collection.queries.ids[self._queries[row]]
        document = self._collection.documents.ids[self._pool.documents[column]]
        raise InputError(
            f"the score of query {query!r} and document {document!r} is {block[row, column]}; "
            "scores must be finite numbers: check the model's vectors or weights"
        )
