"""Which languages a multilingual ranking prefers, from the ranks of relevant documents and the languages at its top.

All functions are per query. Where one takes no value for a query and a language, because the query has no relevant
document there, the cell is NaN; means over cells leave those out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RelevantRanks:
    """The relevant documents of some queries in the ranking of the whole pool, flat: one entry per document.

    Attributes:
        query: row of the query, ascending; (documents,).
        language: column of the document's language; (documents,).
        rank: in the whole pool, 1 is first, ascending within a query; (documents,).
        gain: above 0; (documents,).
        tie: equal for two documents of a query exactly where they have equal scores; (documents,).
        shape: (queries, languages).
    """

    query: Integers
    language: Integers
    rank: Integers
    gain: Floats
    tie: Integers
    shape: tuple[int, int]

    @staticmethod
    def of(
        query: Integers,
        language: Integers,
        rank: Integers,
        gain: Floats,
        shape: tuple[int, int],
        tie: Integers | None = None,
    ) -> RelevantRanks:
        """From entries in any order; without `tie`, nothing ties."""
        order = np.lexsort((rank, query))
        tie = rank if tie is None else tie
        return RelevantRanks(query[order], language[order], rank[order], gain[order], tie[order], shape)

    def part(self, kept: npt.NDArray[np.bool_]) -> RelevantRanks:
        """Some of the documents, of the same queries."""
        columns = (self.query[kept], self.language[kept], self.rank[kept], self.gain[kept], self.tie[kept])
        return RelevantRanks(*columns, self.shape)

    @cached_property
    def place(self) -> Integers:
        """The place of each document among its query's relevant ones, 1 is first; (documents,)."""
        starts = np.searchsorted(self.query, np.arange(self.shape[0]))
        return np.arange(len(self.query)) - starts[self.query] + 1

    @cached_property
    def shared_place(self) -> Floats:
        """Like `place`, but documents with equal scores share the mean of theirs: ids decide nothing; (documents,)."""
        first = np.flatnonzero(np.r_[True, (np.diff(self.query) != 0) | (np.diff(self.tie) != 0)][: len(self.query)])
        lengths = np.diff(np.append(first, len(self.query)))
        shared = np.repeat(first + (lengths - 1) / 2, lengths)
        return (self.place - np.arange(len(self.query)) + shared).astype(np.float64)

    @cached_property
    def place_in_language(self) -> Integers:
        """The place of each document among its query's relevant ones of its own language; (documents,)."""
        cell = self.query * self.shape[1] + self.language
        order = np.argsort(cell, kind="stable")
        starts = np.searchsorted(cell[order], cell)
        place = np.empty(len(cell), dtype=np.int64)
        place[order] = np.arange(len(cell))
        return place - starts + 1

    @cached_property
    def counts(self) -> Integers:
        """Relevant documents of each query in each language; shape (queries, languages)."""
        return np.bincount(self.query * self.shape[1] + self.language, minlength=self._cells).reshape(self.shape)

    def cells(self, values: Floats) -> Floats:
        """The mean of `values`, one per document, over each query and language; (queries, languages)."""
        sums = np.bincount(self.query * self.shape[1] + self.language, weights=values, minlength=self._cells)
        with np.errstate(invalid="ignore"):
            return np.where(self.counts > 0, sums.reshape(self.shape) / self.counts, np.nan)

    @property
    def _cells(self) -> int:
        return self.shape[0] * self.shape[1]


def limit_to_one_target(relevant: RelevantRanks) -> Floats:
    """Reciprocal rank when only the answers in one language stay in the pool; shape (queries, languages).

    The relevant documents of all other languages are taken out, the other documents stay. In [0, 1], higher is better;
    a map over (query language, document language) that is brighter on its diagonal shows a preference for the query's
    own language. Source: LAReQA (arXiv 2004.05484), section 5, "limit to one target"; with one answer left, its AP is
    RR.
    """
    first = relevant.place_in_language == 1
    values = np.full(relevant.shape, np.nan)
    gone_before = relevant.place - 1
    values[relevant.query[first], relevant.language[first]] = 1.0 / (relevant.rank - gone_before)[first]
    return values


def remove_one_target(relevant: RelevantRanks) -> Floats:
    """What average precision loses when the answers in one language leave the pool; shape (queries, languages).

    AP with all answers minus AP without those. In [-1, 1]; large on the diagonal where the query's own language carries
    the score. NaN also where nothing relevant is left. Source: LAReQA (arXiv 2004.05484), section 5, "remove one
    target".
    """
    queries, languages = relevant.shape
    total = relevant.counts.sum(axis=1)
    whole = _per_query(relevant, relevant.place / relevant.rank) / np.maximum(total, 1)
    values = np.full(relevant.shape, np.nan)
    starts = np.searchsorted(relevant.query, np.arange(queries))
    for column in range(languages):
        own = relevant.language == column
        seen = np.concatenate([[0], np.cumsum(own)])
        gone_before = seen[:-1] - seen[starts[relevant.query]]
        precision = np.where(own, 0.0, (relevant.place - gone_before) / (relevant.rank - gone_before))
        left = total - relevant.counts[:, column]
        defined = (relevant.counts[:, column] > 0) & (left > 0)
        values[defined, column] = (whole - _per_query(relevant, precision) / np.maximum(left, 1))[defined]
    return values


def language_advantage(relevant: RelevantRanks) -> Floats:
    """How much more often a language's answers come before than behind those of other languages; (queries, languages).

    For a query's relevant document in y: the share of its relevant documents in other languages that rank behind it
    minus the share that rank before it; mean over its documents in y. Equal scores count as neither, so that the order
    of ids, which may be that of languages, gives no advantage. In [-1, 1]: 1 always first, -1 always last. An ordering
    that is blind to language has the expectation 0 in every language, and over the languages of a parallel suite the
    values sum to 0: what one gains another loses. NaN where a query has no relevant document in y or none elsewhere. It
    is Cliff's delta (1993) of ranks within a query.
    """
    others = relevant.counts.sum(axis=1)[relevant.query] - relevant.counts[relevant.query, relevant.language]
    # Twice the documents before minus all others is what lies before minus what lies behind; shared places halve ties.
    own = _shared_place_in_language(relevant)
    before = relevant.shared_place - own
    with np.errstate(invalid="ignore", divide="ignore"):
        return relevant.cells(np.where(others > 0, (others - 2 * before) / others, np.nan))


def _shared_place_in_language(relevant: RelevantRanks) -> Floats:
    places = np.empty(len(relevant.query))
    for column in range(relevant.shape[1]):
        own = relevant.language == column
        places[own] = relevant.part(own).shared_place
    return places


def language_share(leaders: Integers, languages: int, cutoff: int) -> Floats:
    """Share of each language among the first `cutoff` documents; shape (queries, languages), rows sum to 1.

    Args:
        leaders: the language of the first documents of each ranking, best first, -1 behind its end; (queries, depth).
        languages: how many there are.
        cutoff: at most the depth.
    """
    return _shares(leaders[:, :cutoff], np.ones(min(cutoff, leaders.shape[1])), languages)


def exposure(leaders: Integers, languages: int, cutoff: int) -> Floats:
    """Share of a reader's attention that each language gets in the first `cutoff` places; (queries, languages).

    Attention to rank r is 1 / log2(r + 1), nothing behind the cut-off; rows sum to 1. Source: Singh & Joachims 2018,
    "Fairness of exposure in rankings", section 3 (position bias as in DCG).
    """
    attention = 1.0 / np.log2(np.arange(2, min(cutoff, leaders.shape[1]) + 2))
    return _shares(leaders[:, :cutoff], attention, languages)


def attention_weighted_rank_fairness(exposures: Floats, target: Floats) -> Floats:
    """One minus the Jensen-Shannon divergence, base 2, of exposure and target; (queries,), in [0, 1], 1 is fair.

    Source: Sapiezynski et al. 2019 (AWRF) in the form of the TREC Fair Ranking track and Raj & Ekstrand 2022.

    Args:
        exposures: rows sum to 1; (queries, languages).
        target: the share that each language should have; (languages,) or (queries, languages).
    """
    middle = (exposures + target) / 2

    def divergence(shares: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(shares > 0, shares * np.log2(shares / middle), 0.0)
        return terms.sum(axis=1)

    return 1.0 - (divergence(exposures) + divergence(np.broadcast_to(target, exposures.shape))) / 2


def rank_correlation(versions: list[Integers]) -> Floats:
    """How alike the rankings are that the versions of one question get: Spearman, mean over the other versions.

    Two lists are compared over the documents that either holds; those that one lacks share the last place in it (ties
    get their mean rank). 1 for equal lists, about -0.86 for two of ten documents that share none, so that the mean over
    questions is not 0 but negative where there is nothing in common. Source: mean rank correlation, MRC@k, of arXiv
    2509.06195, which leaves open how documents outside one of the lists count.

    Args:
        versions: the documents at the top of each version's ranking, best first.

    Returns:
        Shape (versions,); NaN with fewer than two versions.
    """
    if len(versions) < 2:
        return np.full(len(versions), np.nan)
    lengths = np.array([len(version) for version in versions])
    distinct, at = np.unique(np.concatenate(versions), return_inverse=True)
    row = np.repeat(np.arange(len(versions)), lengths)
    ranks = np.zeros((len(versions), len(distinct)))
    ranks[row, at] = np.concatenate([np.arange(1, length + 1) for length in lengths])
    inside = (ranks > 0).astype(np.float64)
    common = inside @ inside.T
    union = lengths[:, None] + lengths[None, :] - common
    # The rank that documents outside a row's list share, in the comparison with each column's list.
    outside = (lengths[:, None] + union + 1) / 2
    squares = (lengths * (lengths + 1) * (2 * lengths + 1) / 6)[:, None] + (union - lengths[:, None]) * outside**2
    centre = union * ((union + 1) / 2) ** 2
    spread = squares - centre
    own = (lengths * (lengths + 1) / 2)[:, None]
    shared = ranks @ inside.T  # sums of a row's ranks over what the two lists share
    product = ranks @ ranks.T + (own - shared) * outside.T + ((own - shared) * outside.T).T
    scale = np.sqrt(spread * spread.T)
    correlation = np.divide(product - centre, scale, out=np.ones_like(scale), where=scale > 1e-9)
    return (correlation.sum(axis=1) - correlation.diagonal()) / (len(versions) - 1)


def occurrence_skewness(neighbours: Integers, items: int) -> float | None:
    """Hubness: the skewness of how often each item is among the nearest neighbours; 0 is even, above about 1 has hubs.

    Source: Radovanovic, Nanopoulos & Ivanovic 2010, "Hubs in space", section 3 (skewness of N_k).

    Args:
        neighbours: items that are near each query, -1 for none; (queries, k).
        items: how many there are.

    Returns:
        None where every item occurs equally often.
    """
    occurrences = np.bincount(neighbours[neighbours >= 0].ravel(), minlength=items).astype(np.float64)
    centred = occurrences - occurrences.mean()
    deviation = np.sqrt((centred**2).mean())
    return float((centred**3).mean() / deviation**3) if deviation > 0 else None


def _shares(leaders: Integers, weight: Floats, languages: int) -> Floats:
    held = leaders >= 0
    cell = np.arange(len(leaders))[:, None] * languages + leaders
    weights = np.broadcast_to(weight, leaders.shape)
    sums = np.bincount(cell[held], weights=weights[held], minlength=len(leaders) * languages)
    table = sums.reshape(len(leaders), languages)
    total = table.sum(axis=1, keepdims=True)
    return np.divide(table, total, out=np.full_like(table, np.nan), where=total > 0)


def _per_query(relevant: RelevantRanks, values: Floats) -> Floats:
    return np.bincount(relevant.query, weights=values, minlength=relevant.shape[0]).astype(np.float64)
