"""The table of ranks that a run leaves behind, and the language settings as views on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Collection, Integers, Judgements, Setting
from xlir_bench.measures import JudgedRanks

NOT_SEARCHED: Final = -1
WHOLE_POOL: Final = "*"
"""What stands for a row's document language where every document is searched, whatever its language."""

Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Row:
    """One row of a setting: queries of one language against one pool.

    Attributes:
        query_language: a code.
        document_language: a code, or "*" for the whole pool.
        queries: the number of each query that has a relevant document in the pool, ascending; (queries,).
        judged: the ranks of their relevant documents in this pool, in the same order.
        documents: the size of the pool.
    """

    query_language: str
    document_language: str
    queries: Integers
    judged: JudgedRanks
    documents: int


@dataclass(frozen=True)
class RankTable:
    """For every relevant document of every query, how many documents of each language outrank it.

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

    @staticmethod
    def of(
        collection: Collection,
        relevant: Judgements,
        languages: tuple[str, ...],
        outranked: npt.NDArray[np.int32],
        tied: npt.NDArray[np.bool_],
    ) -> RankTable:
        """The counts of a collection's relevant judgements; those that no search reached are left out."""
        searched = (outranked != NOT_SEARCHED).any(axis=1)
        query, document = relevant.query[searched], relevant.document[searched]
        queries, documents = collection.queries, collection.documents
        return RankTable(
            query,
            _names(queries.ids)[query],
            _names(collection.questions)[query],
            _names(queries.languages)[query],
            _names(documents.ids)[document],
            _names(documents.languages)[document],
            relevant.gain[searched],
            tied[searched],
            languages,
            tuple(len(documents.rows_by_language[language]) for language in languages),
            outranked[searched],
        )

    def __len__(self) -> int:
        return len(self.query)

    @property
    def rank_in_language(self) -> Integers:
        """The rank of each relevant document among the documents of its own language; (judgements,)."""
        column = np.array([self.languages.index(code) for code in self.document_language], dtype=np.int64)
        return 1 + self.outranked[np.arange(len(self)), column].astype(np.int64)

    @property
    def rank_in_pool(self) -> Integers:
        """Its rank among all documents; meaningful only where every language was searched; (judgements,)."""
        return 1 + self.outranked.sum(axis=1, dtype=np.int64)

    def rows(self, setting: Setting) -> Iterator[Row]:
        """The rows of a setting, in order of query language, then document language.

        Multilingual rows need counts over every language; without them there are none.
        """
        own, whole = self.rank_in_language, self.rank_in_pool
        complete = not (self.outranked == NOT_SEARCHED).any()
        by_query = _positions(self.query_language)
        for x, of_x in by_query.items():
            if setting == "multilingual":
                if complete:
                    yield self._row((x, WHOLE_POOL), of_x, whole, sum(self.pool_sizes))
                continue
            for y, inside in _positions(self.document_language[of_x]).items():
                if (x == y) == (setting == "monolingual"):
                    yield self._row((x, y), of_x[inside], own, self.pool_sizes[self.languages.index(y)])

    def _row(self, pair: tuple[str, str], of: Integers, rank: Integers, documents: int) -> Row:
        judged = JudgedRanks.of(self.query[of], rank[of], self.gain[of])
        return Row(*pair, np.unique(self.query[of]), judged, documents)


def _names(values: Sequence[str]) -> Names:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _positions(codes: Names) -> dict[str, Integers]:
    """Where each code stands, codes in order."""
    distinct, which = np.unique(codes.astype(str), return_inverse=True)
    return {str(code): np.flatnonzero(which == n) for n, code in enumerate(distinct)}
