"""The ranks of judged documents: all that the measures depend on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Ranks = Integers | Floats

UNJUDGED: Final = np.inf
"""The rank that pads a row of `JudgedRanks`: behind everything, so that 1/rank and any cut-off count it as nothing."""


@dataclass(frozen=True)
class JudgedRanks:
    """The ranks of the judged documents of some queries.

    A relevant document that a ranking lacks has the rank `UNJUDGED` and its gain.

    Attributes:
        ranks: of the relevant documents. 1 is first; ascending in each row, then padded with `UNJUDGED`; padding alone
            for a query without a relevant document. Shape (queries, relevant).
        gains: gain of the document at the same place, above 0; 0 where padded. Shape (queries, relevant).
        other_ranks: ranks of the documents that are judged not relevant, ascending and padded; (queries, others). None
            where they are unknown: only measures that need no more than the relevant documents can be computed then.
        other_gains: their gains, 0 or below; NaN where padded. Shape (queries, others).
        sizes: documents in each ranking; (queries,). None where they are unknown.
    """

    ranks: Floats
    gains: Floats
    other_ranks: Floats | None = None
    other_gains: Floats | None = None
    sizes: Floats | None = None

    @staticmethod
    def of(query: Integers, rank: Ranks, gain: Floats, queries: Integers | None = None) -> JudgedRanks:
        """From one entry per relevant document, shape (judgements,) each, in any order.

        Args:
            query: any number that is equal for the documents of one query. Rows come in ascending order of it.
            rank: 1 is first; `UNJUDGED` where the ranking lacks the document.
            gain: above 0.
            queries: the number of every row, ascending; a query without an entry gets a row of padding. By default
                those that have entries.
        """
        numbers = np.unique(query) if queries is None else queries
        return JudgedRanks(*_padded((query, rank, gain), numbers, 0.0))

    def with_others(self, entries: tuple[Integers, Ranks, Floats], queries: Integers) -> JudgedRanks:
        """With the documents that are judged not relevant.

        Args:
            entries: number of the query, rank and gain of each, as in `of`; (judgements,) each.
            queries: the number of every row, ascending.
        """
        ranks, gains = _padded(entries, queries, np.nan)
        return replace(self, other_ranks=ranks, other_gains=gains)

    def relevant_from(self, gain: int) -> JudgedRanks:
        """What is seen where only documents of at least this gain are relevant, all alike."""
        relevant = self.gains >= gain
        ranks, gains = _sorted(np.where(relevant, self.ranks, UNJUDGED), np.where(relevant, 1.0, 0.0), relevant)
        if self.other_ranks is None or self.other_gains is None:
            return replace(self, ranks=ranks, gains=gains)
        fallen = (self.gains > 0) & ~relevant
        other_ranks = np.column_stack([self.other_ranks, np.where(fallen, self.ranks, UNJUDGED)])
        other_gains = np.column_stack([self.other_gains, np.where(fallen, self.gains, np.nan)])
        others = _sorted(other_ranks, other_gains, ~np.isnan(other_gains))
        return JudgedRanks(ranks, gains, *others, self.sizes)

    def among_judged(self) -> JudgedRanks:
        """What is seen where documents without a judgement are left out of the rankings.

        A gain below 0 is TREC's sign for a document that was not judged.
        """
        assert self.other_ranks is not None
        assert self.other_gains is not None
        both = np.column_stack([self.ranks, np.where(self.other_gains >= 0, self.other_ranks, UNJUDGED)])
        order = np.argsort(both, axis=1, kind="stable")
        place = np.empty(both.shape)
        np.put_along_axis(place, order, np.broadcast_to(np.arange(1.0, both.shape[1] + 1), both.shape), axis=1)
        place = np.where(np.isfinite(both), place, UNJUDGED)
        width = self.ranks.shape[1]
        sizes = np.isfinite(both).sum(axis=1).astype(np.float64)
        return replace(self, ranks=place[:, :width], other_ranks=place[:, width:], sizes=sizes)

    def __len__(self) -> int:
        return len(self.ranks)


def _padded(entries: tuple[Integers, Ranks, Floats], queries: Integers, nothing: float) -> tuple[Floats, Floats]:
    """Ranks and gains in a row per query, by rank."""
    query, rank, gain = entries
    order = np.lexsort((rank, query))
    query, rank, gain = query[order], rank[order], gain[order]
    row = np.searchsorted(queries, query)
    place = np.arange(len(query)) - np.searchsorted(query, query)
    shape = (len(queries), int(place.max(initial=0)) + 1)
    ranks, gains = np.full(shape, UNJUDGED), np.full(shape, nothing)
    ranks[row, place], gains[row, place] = rank, gain
    return ranks, gains


def _sorted(ranks: Floats, gains: Floats, there: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Rows by rank, documents that a ranking lacks behind those that it has, padding last."""
    order = np.lexsort((~there, ranks), axis=1)
    return np.take_along_axis(ranks, order, axis=1), np.take_along_axis(gains, order, axis=1)
