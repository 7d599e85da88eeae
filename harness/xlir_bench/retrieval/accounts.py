"""Counts of some documents while they are being made."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Integers
from xlir_bench.encoders.protocol import Vectors
from xlir_bench.errors import InputError
from xlir_bench.retrieval.blocks import Documents, Found, Judged, LeftOut, Queries, Room, Tally
from xlir_bench.retrieval.counts import Best, Counts
from xlir_bench.retrieval.kernel import count_documents, count_products
from xlir_bench.retrieval.leaders import documents_of
from xlir_bench.retrieval.pairs import Bits, Scores, band, score_of
from xlir_bench.retrieval.search import Heads, Part, Wanted


class Accounts:
    """The documents `start` and following of a collection, as every judged document sees them.

    Several threads may add to it at once, as long as no two have the same query.
    """

    def __init__(self, wanted: Wanted, heads: Heads, start: int, ids: Sequence[str]) -> None:
        """Open empty accounts.

        Args:
            wanted: what is judged.
            heads: what is kept of the tops of rankings.
            start: position of the first document in the collection.
            ids: of the documents.
        """
        self.wanted, self.heads = wanted, heads
        self._start, self._ids = start, ids
        self._place, self._greater_ids = _order(ids, wanted.judged_ids)
        self._outranked = np.zeros((len(wanted.languages), len(wanted)), np.int32)
        self._ahead = np.zeros(len(wanted), np.int32)
        self._level = np.zeros(len(wanted), np.int32)
        rankings = len(wanted.queries) * (len(wanted.languages) if heads.by_language else 1)
        self._leaders = np.zeros((rankings, heads.depth), np.uint64)
        inside = (wanted.excluded_document >= start) & (wanted.excluded_document < start + len(ids))
        self._excluded = wanted.excluded_query[inside], wanted.excluded_document[inside] - start

    def account(self, part: Part, block: slice, column: int, own: Scores, queries: Queries) -> Account:
        """An account of some queries of a part, and documents of one language.

        Args:
            part: who searches these documents.
            block: which of them.
            column: the language, in the counts.
            own: scores of the documents that are judged for these queries; (judgements,).
            queries: the queries of the block.
        """
        return Account(self, part, block, column, (own, queries))

    def counts(self) -> Counts:
        """All that was counted."""
        outranked = np.ascontiguousarray(self._outranked.T)
        return Counts(outranked, self._ahead, self._level, len(self._ids), self._best() if self.heads.depth else None)

    def _best(self) -> Best:
        score, place = documents_of(np.sort(self._leaders, axis=1)[:, ::-1])
        at = np.empty(len(self._ids) + 1, np.int64)
        at[self._place] = np.arange(len(self._ids))
        at[-1] = -1
        found = at[place]
        occurs = np.zeros(len(self._ids) + 1, bool)
        occurs[found] = True
        rows = np.flatnonzero(occurs[:-1])
        ids = [self._ids[row] for row in rows.tolist()]
        return Best(score, np.where(found < 0, -1, found + self._start), rows + self._start, ids)


class Account:
    """Some queries, and documents of one language. `count` counts them, `close` enters what was counted."""

    def __init__(
        self, accounts: Accounts, part: Part, block: slice, column: int, scores: tuple[Scores, Queries]
    ) -> None:
        own, queries = scores
        self._of, self._column = accounts, column
        self.query = part.query[block]
        starts = part.starts[block.start : block.stop + 1] - part.starts[block.start]
        # By score, so that those of one score stand together and are counted once.
        order = np.lexsort((own, np.repeat(np.arange(len(self.query)), np.diff(starts))))
        self._judgement = part.judged(block)[order]
        low, high = band(own, np.repeat(queries.error, np.diff(starts)), queries.kind)
        self._judged = Judged(starts, own[order], low[order], high[order], accounts.wanted.greater_ids[self._judgement])
        self._tally = Tally(*(np.zeros(len(order), np.int32) for _ in range(3)))
        # Rankings of one language of documents stand together: see `Best`.
        first = column * len(accounts.wanted.queries) if accounts.heads.by_language else 0
        self._ranking = first + self.query
        self._leaders = accounts._leaders[self._ranking]

    def documents(self, rows: Integers, vectors: Vectors, bits: Bits, squares: Scores) -> Documents:
        """The documents at some places of the accounts; see `blocks.Documents`."""
        of = self._of
        return Documents(vectors, bits, squares, of._greater_ids[rows], of._place[rows], rows + of._start)

    def left_out(self, rows: Integers) -> LeftOut:
        """Which of the queries leave out which of the documents at these places, ascending."""
        queries, documents = self._of._excluded
        inside = np.isin(queries, self.query) & np.isin(documents, rows)
        return LeftOut(np.searchsorted(self.query, queries[inside]), np.searchsorted(rows, documents[inside]))

    def count(self, queries: Queries, documents: Documents, left_out: LeftOut, width: int) -> None:
        """Count documents, `width` of them at a time.

        Raises:
            InputError: a product is not a finite number.
        """
        found = self._found(len(self.query) * width)
        q, d = count_documents(queries, documents, left_out, self._judged, found, width)
        if q >= 0:
            self._refuse(q, documents.row[d], float(score_of(queries, q, documents, d)))

    def count_products(self, products: Scores, queries: Queries, documents: Documents) -> None:
        """Count documents whose products are there; those of pairs that are left out are minus infinity.

        Raises:
            InputError: a product is not a finite number.
        """
        q, d = count_products(products, queries, documents, self._judged, self._found(0))
        if q >= 0:
            self._refuse(q, documents.row[d], products[q, d])

    def close(self) -> None:
        """Enter what was counted."""
        of, tally = self._of, self._tally
        of._outranked[self._column, self._judgement] += tally.outranked
        of._ahead[self._judgement] += tally.ahead
        of._level[self._judgement] += tally.level
        of._leaders[self._ranking] = self._leaders

    def _found(self, products: int) -> Found:
        most = int(np.diff(self._judged.starts).max(initial=0))
        return Found(self._tally, self._leaders, Room.of(products, most, self._of.heads.depth))

    def _refuse(self, query: int, row: int, score: float) -> None:
        name = self._of.wanted.query_ids[int(self.query[query])]
        document = self._of._ids[int(row) - self._of._start]
        raise InputError(
            f"the score of query {name!r} and document {document!r} is {score}; "
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
