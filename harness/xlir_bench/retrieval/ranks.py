"""The table of ranks that a run leaves behind, and the language settings as views on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Collection, Integers, Setting, Texts
from xlir_bench.errors import InputError
from xlir_bench.measures import JudgedRanks, Measure
from xlir_bench.retrieval.counts import Counts
from xlir_bench.retrieval.rankings import WHOLE_POOL, Rankings
from xlir_bench.retrieval.search import DEPTH, Wanted

NOT_SEARCHED: Final = -1

Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Row:
    """One row of a setting: queries of one language against one pool.

    Attributes:
        query_language: a code.
        document_language: a code, or "*" for the whole pool.
        queries: the number of each query that counts in the row, ascending: those with a relevant document in the pool,
            and those that were judged in it and have none anywhere; (queries,).
        judged: the ranks of their judged documents in this pool, in the same order; of those that are not relevant only
            where they were counted.
        documents: the size of the pool.
    """

    query_language: str
    document_language: str
    queries: Integers
    judged: JudgedRanks
    documents: int

    def values(self, measure: Measure) -> tuple[Integers, npt.NDArray[np.float64]]:
        """The numbers of the queries that a measure is defined for, and its value for each; (queries,) both.

        A query without a relevant document is 0 in every measure of effectiveness, and has no rank distance.

        Raises:
            InputError: the measure needs the ranks of documents that are judged not relevant, and they were not counted
                or are not there.
        """
        if measure.needs == "judged" and self.judged.other_ranks is None:
            raise InputError(
                f"{measure} needs the ranks of documents that are judged not relevant, which lie in "
                "SUITE.judged.parquet beside a result: it is not there"
            )
        values = measure(self.judged)
        defined = ~np.isnan(values)
        return self.queries[defined], values[defined]


@dataclass(frozen=True)
class Unanswered:
    """Judged queries without a relevant document. They count as 0 in the setting of their judgements, as in trec_eval.

    A query is listed once for each pool that it was judged in: the documents of one language, and the whole pool where
    the queries of its language are judged in several languages. A collection whose languages are judged apart, each in
    a file of its own, lists it for its own language only.

    Attributes:
        query: number of the query in the run, ascending; (entries,).
        query_id, question, query_language: the query's id, its question, its code; (entries,).
        document_language: the code of the pool, or "*" for the whole pool; (entries,).
        document_id: the first document of the pool that was judged not relevant for it; (entries,).
    """

    query: Integers
    query_id: Names
    question: Names
    query_language: Names
    document_language: Names
    document_id: Names

    @staticmethod
    def of(collection: Collection) -> Unanswered:
        """The unanswered queries of a collection."""
        judged, queries = collection.judgements, collection.queries
        chosen = np.flatnonzero(np.isin(judged.query, collection.unanswered))
        documents = judged.document[chosen]
        given = collection.documents.languages_at(documents).tolist()
        judged_in: dict[str, set[str]] = {}
        for x, y in collection.judged_pairs:
            judged_in.setdefault(x, set()).add(y)
        first: dict[tuple[int, str], int] = {}
        for number, document, language in zip(judged.query[chosen].tolist(), documents.tolist(), given, strict=True):
            first.setdefault((number, language), document)
            own = queries.languages[number]
            # Where the whole pool is in one language, it is the pool of the judgements.
            if judged_in[own] != {own} or len(collection.documents.sizes) == 1:
                first.setdefault((number, WHOLE_POOL), document)
        return Unanswered.listed(
            (n, queries.ids[n], collection.questions[n], queries.languages[n], pool, collection.documents.ids[document])
            for (n, pool), document in sorted(first.items())
        )

    @staticmethod
    def listed(entries: Iterable[tuple[int, str, str, str, str, str]]) -> Unanswered:
        """From (number, id, question, language, pool, document id) of each entry, in order."""
        rows = list(entries)
        columns: list[Names] = []
        for place in range(1, 6):
            column = np.empty(len(rows), dtype=object)
            column[:] = [row[place] for row in rows]
            columns.append(column)
        return Unanswered(np.array([row[0] for row in rows], dtype=np.int64), *columns)

    def entries(self) -> list[tuple[int, str, str, str, str, str]]:
        """The inverse of `listed`."""
        names = (self.query_id, self.question, self.query_language, self.document_language, self.document_id)
        return list(zip(self.query.tolist(), *(column.tolist() for column in names), strict=True))

    def in_pool(self, query_language: str, pool: str) -> Integers:
        """The entries of the queries of a language in a pool, in order."""
        return np.flatnonzero((self.query_language == query_language) & (self.document_language == pool))

    def __len__(self) -> int:
        return len(self.query)


@dataclass(frozen=True)
class Leaders:
    """The first documents of each query's ranking of the whole pool, from which follows what languages are at the top.

    Attributes:
        query: number of each query in the run, ascending; the same queries as the table of ranks has; (queries,).
        place: where the document stands in the pool when languages are put one after the other, in the order of
            `RankTable.languages`, each in the order of the collection; best first, -1 behind the end of a ranking that
            is shorter; (queries, depth).
    """

    query: Integers
    place: npt.NDArray[np.int32]

    @property
    def depth(self) -> int:
        """How many documents of each ranking are kept."""
        return self.place.shape[1]


@dataclass(frozen=True)
class RankTable:
    """For every relevant document of every query, how many documents of each language outrank it.

    Queries without a relevant document have no entry here; they are in `unanswered`.
    All measures of all settings follow from it; it is what is stored, so that comparing never encodes again.

    Attributes:
        query: number of the query in the run, shape (judgements,), ascending.
        query_id, question, query_language: the query's id, the question it is a version of, its code; (judgements,).
        document_id, document_language: of the relevant document; (judgements,).
        gain: its gain, above 0; (judgements,).
        tied: whether another document of the searched pool has exactly its score; (judgements,).
        languages: the languages of the pool; names the columns of `outranked`.
        pool_sizes: documents in each of them; (languages,).
        outranked: documents of each language that come before it, -1 where that language was not searched;
            (judgements, languages).
        ahead: documents of the whole pool with a greater score; equal for two relevant documents of a query exactly
        where
            they tie; (judgements,). None as for `leaders`.
        leaders: the first documents of each ranking; None where not every language was searched, or where the table
            was stored without them.
        rankings: the first documents by name; None where none were kept, and always of a table that was stored.
        unanswered: the judged queries without a relevant document.
        left_out: number of a query -> documents of each language that its ranking leaves out, in the order of
            `languages`; queries that leave out none are not listed.
        not_relevant: the same of the documents that are judged not relevant, whose gain is 0 or below, without what
            belongs to a whole run; None where they were not counted.
    """

    query: Integers
    query_id: Names
    question: Names
    query_language: Names
    document_id: Names
    document_language: Names
    gain: npt.NDArray[np.float64]
    tied: npt.NDArray[np.bool_]
    languages: tuple[str, ...]
    pool_sizes: tuple[int, ...]
    outranked: npt.NDArray[np.int32]
    ahead: npt.NDArray[np.int32] | None = None
    leaders: Leaders | None = None
    rankings: Rankings | None = None
    unanswered: Unanswered = field(default_factory=lambda: Unanswered.listed(()))
    left_out: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    not_relevant: RankTable | None = None

    def __len__(self) -> int:
        return len(self.query)

    @cached_property
    def rank_in_language(self) -> Integers:
        """The rank of each relevant document among the documents of its own language; (judgements,)."""
        codes, code_at = self._document_codes
        column = np.array([self.languages.index(code) for code in codes], dtype=np.int64)[code_at]
        return 1 + self.outranked[np.arange(len(self)), column].astype(np.int64)

    @cached_property
    def rank_in_pool(self) -> Integers:
        """Its rank among all documents; meaningful only where every language was searched; (judgements,)."""
        return 1 + self.outranked.sum(axis=1, dtype=np.int64)

    def rows(self, setting: Setting) -> Iterator[Row]:
        """The rows of a setting, in order of query language, then document language.

        Multilingual rows need counts over every language; without them there are none.
        """
        query_codes, query_code_at = self._query_codes
        document_codes, document_code_at = self._document_codes
        for number, x in enumerate(query_codes):
            of_x = np.flatnonzero(query_code_at == number)
            if setting == "multilingual":
                without = self.unanswered.query[self.unanswered.in_pool(x, WHOLE_POOL)]
                if self.searched_everything and len(of_x) + len(without):
                    yield self._row((x, WHOLE_POOL), (of_x, without), self.rank_in_pool, sum(self.pool_sizes))
                continue
            for other, y in enumerate(document_codes):
                inside = of_x[document_code_at[of_x] == other]
                without = self.unanswered.query[self.unanswered.in_pool(x, y)]
                if len(inside) + len(without) and (x == y) == (setting == "monolingual"):
                    size = self.pool_sizes[self.languages.index(y)]
                    yield self._row((x, y), (inside, without), self.rank_in_language, size)

    @cached_property
    def searched_everything(self) -> bool:
        """Whether every query was searched in the documents of every language."""
        return not (self.outranked == NOT_SEARCHED).any()

    @cached_property
    def _query_codes(self) -> tuple[list[str], Integers]:
        return _coded(self.query_language, self.unanswered.query_language)

    @cached_property
    def _document_codes(self) -> tuple[list[str], Integers]:
        pools = self.unanswered.document_language
        return _coded(self.document_language, pools[pools != WHOLE_POOL])

    def _row(self, pair: tuple[str, str], of: tuple[Integers, Integers], rank: Integers, documents: int) -> Row:
        """A row of the relevant documents at some entries, and the numbers of queries without any."""
        inside, without = of
        queries = np.union1d(self.query[inside], without)
        judged = JudgedRanks.of(self.query[inside], rank[inside], self.gain[inside], queries)
        judged = replace(judged, sizes=self._sizes(queries, pair[1], documents))
        others = self.not_relevant
        if others is not None:
            chosen = np.isin(others.query, queries)
            if pair[1] != WHOLE_POOL:
                chosen &= others.document_language == pair[1]
            there = others.rank_in_pool if pair[1] == WHOLE_POOL else others.rank_in_language
            judged = judged.with_others((others.query[chosen], there[chosen], others.gain[chosen]), queries)
        return Row(*pair, queries, judged, documents)

    def _sizes(self, queries: Integers, pool: str, documents: int) -> npt.NDArray[np.float64]:
        """How long the rankings of some queries are; (queries,)."""
        sizes = np.full(len(queries), float(documents))
        if self.left_out and len(queries):
            numbers = np.array(list(self.left_out), dtype=np.int64)
            counts = np.array(list(self.left_out.values()))
            fewer = counts.sum(axis=1) if pool == WHOLE_POOL else counts[:, self.languages.index(pool)]
            at = np.minimum(np.searchsorted(queries, numbers), len(queries) - 1)
            here = queries[at] == numbers
            sizes[at[here]] -= fewer[here]
        return sizes


def rank_table(wanted: Wanted, collection: Collection, counts: Counts) -> RankTable:
    """The ranks that follow from the counts of a whole collection.

    Raises:
        ValueError: some documents were not counted.
    """
    queries, documents = collection.queries, collection.documents
    if counts.documents != len(documents):
        raise ValueError(f"{counts.documents} of {len(documents)} documents were counted")
    rankings = None if counts.best is None else Rankings.of(wanted, counts.best)
    outranked = counts.outranked
    if not wanted.across_languages:
        own = np.array(wanted.query_languages, dtype=object)[wanted.query]
        outranked = np.where(np.array(wanted.languages) == own[:, None], outranked, NOT_SEARCHED)

    def part(at: Integers) -> RankTable:
        query = wanted.queries[wanted.query[at]]
        return RankTable(
            query,
            _names(queries.ids, query),
            _names(collection.questions, query),
            _names(queries.languages, query),
            _names(documents.ids, wanted.document[at]),
            _names(documents.languages, wanted.document[at]),
            wanted.gain[at],
            counts.level[at] > 1,
            wanted.languages,
            tuple(documents.sizes.values()),
            outranked[at],
            ahead=counts.ahead[at] if wanted.across_languages else None,
        )

    table = part(np.flatnonzero(wanted.gain > 0))
    leaders = None
    if rankings is not None and wanted.across_languages:
        answered = np.isin(wanted.queries, table.query)
        rows = rankings.pools[WHOLE_POOL].row[answered, :DEPTH]
        leaders = Leaders(wanted.queries[answered], _places(rows, documents))
    return replace(
        table,
        leaders=leaders,
        rankings=rankings,
        unanswered=Unanswered.of(collection),
        left_out=left_out(collection),
        not_relevant=part(np.flatnonzero(wanted.gain <= 0)) if wanted.judged_too else None,
    )


def left_out(collection: Collection) -> dict[int, tuple[int, ...]]:
    """`RankTable.left_out` of a collection."""
    excluded, width = collection.excluded, len(collection.documents.sizes)
    if not len(excluded):
        return {}
    language = collection.documents.language_numbers(excluded.document)
    numbers, row = np.unique(excluded.query, return_inverse=True)
    counts = np.bincount(row * width + language, minlength=len(numbers) * width).reshape(-1, width)
    return dict(zip(numbers.tolist(), map(tuple, counts.tolist()), strict=True))


def _places(rows: Integers, documents: Texts) -> npt.NDArray[np.int32]:
    """Where documents stand when languages are put one after the other, each in the order of the collection."""
    first = dict(zip(documents.sizes, np.cumsum([0, *documents.sizes.values()]).tolist(), strict=False))
    shifts = []
    for run in documents.spans:
        shifts.append(first[run.language] - run.start)
        first[run.language] += run.stop - run.start
    starts = np.array([run.start for run in documents.spans])
    shift = np.array(shifts)[np.searchsorted(starts, rows, side="right") - 1]
    return np.where(rows >= 0, rows + shift, -1).astype(np.int32)


def _names(values: Sequence[str], at: Integers) -> Names:
    """The values at some positions, each read once."""
    distinct, place = np.unique(at, return_inverse=True)
    array = np.empty(len(distinct), dtype=object)
    array[:] = [values[row] for row in distinct.tolist()]
    return array[place]


def _coded(codes: Names, more: Names) -> tuple[list[str], Integers]:
    """The distinct codes of both, sorted, and for each of `codes` its place among them."""
    distinct, place = np.unique(np.concatenate([codes, more]).astype(str), return_inverse=True)
    return [str(code) for code in distinct], place[: len(codes)]
