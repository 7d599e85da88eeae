"""Counts of some documents while they are being made."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Integers
from xlir_bench.encoders.protocol import Vectors
from xlir_bench.errors import InputError
from xlir_bench.retrieval.counts import Best, Counts
from xlir_bench.retrieval.kernel import Heaps, Judged, Tally, Tile, count_tile, lead_tile
from xlir_bench.retrieval.pairs import Scores
from xlir_bench.retrieval.search import Part, Wanted


class Sources(NamedTuple):
    """What products are of: four attributes of `Tile`."""

    queries: Vectors
    documents: Vectors
    query_bits: npt.NDArray[np.uint64]
    document_bits: npt.NDArray[np.uint64]


NO_SOURCES = Sources(*(np.empty((0, 0), kind) for kind in (np.float32, np.float32, np.uint64, np.uint64)))
"""Of products that are the scores."""


class Accounts:
    """The documents `start` and following of a collection, as every judged document sees them.

    Several threads may add to it at once, as long as no two have the same query.
    """

    def __init__(self, wanted: Wanted, depth: int, start: int, ids: Sequence[str]) -> None:
        """Open empty accounts.

        Args:
            wanted: what is judged.
            depth: documents at the top of each ranking to keep; 0 for none.
            start: position of the first document in the collection.
            ids: of the documents.
        """
        self.wanted, self.depth = wanted, depth
        self._start, self._ids = start, ids
        self._place, self._greater_ids = _order(ids, wanted.judged_ids)
        self._outranked = np.zeros((len(wanted.languages), len(wanted)), np.int32)
        self._ahead = np.zeros(len(wanted), np.int32)
        self._level = np.zeros(len(wanted), np.int32)
        shape = (len(wanted.queries), depth)
        self._heaps = Heaps(
            np.full(shape, -np.inf, np.float32),
            np.full(shape, -1, np.int64),
            np.zeros(shape, np.int32),
            np.zeros(len(wanted.queries), np.int64),
        )
        inside = (wanted.excluded_document >= start) & (wanted.excluded_document < start + len(ids))
        self._excluded = wanted.excluded_query[inside], wanted.excluded_document[inside] - start

    def account(self, part: Part, block: slice, column: int) -> Account:
        """An account of some queries of a part, and documents of one language: `column` of the counts."""
        return Account(self, part, block, column)

    def counts(self) -> Counts:
        """All that was counted."""
        outranked = np.ascontiguousarray(self._outranked.T)
        return Counts(outranked, self._ahead, self._level, len(self._ids), self._best() if self.depth else None)

    def _best(self) -> Best:
        heaps = self._heaps
        order = np.lexsort((heaps.place, -heaps.score), axis=1)
        row = np.take_along_axis(heaps.row, order, axis=1)
        rows = np.unique(row[row >= 0])
        ids = [self._ids[at] for at in (rows - self._start).tolist()]
        return Best(np.take_along_axis(heaps.score, order, axis=1), row, rows, ids)


class Account:
    """Some queries, and documents of one language. `add` counts, `close` enters what was counted."""

    def __init__(self, accounts: Accounts, part: Part, block: slice, column: int) -> None:
        self._of, self._column = accounts, column
        self.query = part.query[block]
        starts = part.starts[block.start : block.start + len(self.query) + 1]
        self.starts = starts - starts[0]
        self.judgement = part.judgement[starts[0] : starts[-1]]
        self.greater_ids = accounts.wanted.greater_ids[self.judgement]
        self._tally = Tally(*(np.zeros(len(self.judgement), np.int32) for _ in range(3)))
        heaps = accounts._heaps
        self._heaps = Heaps(
            heaps.score[self.query], heaps.row[self.query], heaps.place[self.query], heaps.size[self.query]
        )

    def tile(self, products: Scores, rows: Integers, sources: Sources) -> Tile:
        """Products of the queries with documents.

        Args:
            products: changed here: pairs that a ranking leaves out become minus infinity; (queries, documents).
            rows: places of the documents among those of the accounts, ascending; (documents,).
            sources: what the products are of.
        """
        of = self._of
        queries, documents = of._excluded
        if len(queries):
            inside = np.isin(queries, self.query) & np.isin(documents, rows)
            at = np.searchsorted(self.query, queries[inside])
            products[at, np.searchsorted(rows, documents[inside])] = -np.inf
        return Tile(products, *sources, of._greater_ids[rows], of._place[rows], rows + of._start)

    def add(self, tile: Tile, judged: Judged, error: npt.NDArray[np.float64]) -> None:
        """Count a tile; `error` bounds how far each query's products are from scores, (queries,).

        Raises:
            InputError: a product is not a finite number.
        """
        if not count_tile(tile, judged, self._tally):
            self._refuse(tile)
        if self._of.depth:
            lead_tile(tile, error, self._heaps)

    def close(self) -> None:
        """Enter what was counted."""
        of = self._of
        of._outranked[self._column, self.judgement] += self._tally.outranked
        of._ahead[self.judgement] += self._tally.ahead
        of._level[self.judgement] += self._tally.level
        of._heaps.score[self.query], of._heaps.row[self.query] = self._heaps.score, self._heaps.row
        of._heaps.place[self.query], of._heaps.size[self.query] = self._heaps.place, self._heaps.size

    def _refuse(self, tile: Tile) -> None:
        at, column = np.argwhere(~(tile.products < np.inf))[0]
        query = self._of.wanted.query_ids[int(self.query[at])]
        document = self._of._ids[int(tile.row[column]) - self._of._start]
        raise InputError(
            f"the score of query {query!r} and document {document!r} is {tile.products[at, column]}; "
            "scores must be finite numbers: check the model's vectors or weights"
        )


def _order(ids: Sequence[str], judged_ids: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The place of each id, descending, and how many judged ids are greater than it or equal to it; (documents,)."""
    ascending = sorted(range(len(ids)), key=ids.__getitem__)
    place = np.empty(len(ids), np.int32)
    place[ascending] = np.arange(len(ids) - 1, -1, -1, dtype=np.int32)
    names = [ids[at] for at in ascending]
    # Where each judged id stands among the names: it is not less than those before.
    stands = np.array([bisect_right(names, name) for name in judged_ids], dtype=np.int64)
    greater_ids = np.empty(len(ids), np.int32)
    greater_ids[ascending] = len(judged_ids) - np.searchsorted(stands, np.arange(len(ids)), side="right")
    return place, greater_ids
