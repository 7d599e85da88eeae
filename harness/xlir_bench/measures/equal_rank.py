"""Whether languages have equal expected ranks: Kruskal-Wallis tests, per query and pooled (PEER, arXiv 2405.00978).

With one relevant document per language, the ranks 1 to n are dealt to n groups of one: the statistic is n - 1 and p is
the same whatever the ranking (.4405 for 11 languages). There the test can only speak about the documents that are not
relevant, or about all queries at once; both have names of their own here.
"""

from __future__ import annotations

import numpy as np

from xlir_bench.measures.preference import Floats, Integers, RelevantRanks


def kruskal_wallis(rank_sums: Floats, counts: Floats, ties: Floats) -> tuple[Floats, Floats]:
    """Statistic and p of many tests at once (Kruskal & Wallis 1952), corrected for ties.

    Args:
        rank_sums: of the ranks 1 to N, ties sharing their mean, in each group; (tests, groups).
        counts: members of each group, 0 for a group that takes no part; (tests, groups).
        ties: sum of t**3 - t over sets of t tied members; (tests,).

    Returns:
        H and p, shape (tests,) each. p is 1 and H is 0 where fewer than two groups take part, or where all ranks tie.
    """
    from scipy.special import chdtrc

    total = counts.sum(axis=1)
    squares = np.divide(rank_sums**2, counts, out=np.zeros_like(rank_sums), where=counts > 0).sum(axis=1)
    groups = (counts > 0).sum(axis=1)
    cubes = np.maximum(total**3 - total, 1.0)
    correction = 1.0 - ties / cubes
    defined = (groups > 1) & (correction > 1e-15)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = 12.0 / (total * (total + 1)) * squares - 3 * (total + 1)
        statistic = np.where(defined, np.maximum(plain, 0.0) / correction, 0.0)
    return statistic, np.where(defined, chdtrc(np.maximum(groups - 1, 1), statistic), 1.0)


def peer(relevant: RelevantRanks) -> Floats:
    """PEER over the relevant documents: p that languages have equal expected ranks; (queries,), in [0, 1], 1 is fair.

    Relevant documents of one gain are ranked among themselves and tested by language; levels of gain that a query has
    weigh equally. A query whose relevant documents are all in one language has 1. Source: Yang et al. 2024
    (arXiv 2405.00978), section 3; its package tests ranks in the whole list without ranking them anew.
    """
    values, levels = np.zeros(relevant.shape[0]), np.zeros(relevant.shape[0])
    for gain in np.unique(relevant.gain):
        at = relevant.gain == gain
        level = relevant.part(at)
        sums = np.nan_to_num(level.cells(level.shared_place)) * level.counts
        p = kruskal_wallis(sums, level.counts.astype(np.float64), _ties(level))[1]
        present = level.counts.sum(axis=1) > 0
        values += np.where(present, p, 0.0)
        levels += present
    return np.divide(values, levels, out=np.ones_like(values), where=levels > 0)


def peer_nonrelevant(leaders: Integers, relevant: RelevantRanks, pool_sizes: Integers, cutoff: int) -> Floats:
    """PEER on the level of documents that are not relevant, to a depth; (queries,), in [0, 1], 1 is fair.

    The documents that are not relevant are ranked among themselves; those behind the cut-off tie. Kruskal-Wallis by
    language, as PEER@X of arXiv 2405.00978, section 3, with its weight on level 0 alone. Unlike on the relevant level,
    equal ranks are not all that fairness asks of these documents, for languages may differ in how near their texts are.

    Args:
        leaders: the language of the first documents of each ranking, best first, -1 behind its end; (queries, depth).
        relevant: the relevant documents of the same queries.
        pool_sizes: documents of each language in the pool; (languages,).
        cutoff: at most the depth.
    """
    top = leaders[:, :cutoff].copy()
    inside = relevant.rank <= top.shape[1]
    top[relevant.query[inside], relevant.rank[inside] - 1] = -1
    held = top >= 0
    place = np.cumsum(held, axis=1)
    cell = np.arange(len(top))[:, None] * len(pool_sizes) + top
    size = len(top) * len(pool_sizes)
    found = np.bincount(cell[held], minlength=size).reshape(len(top), -1)
    sums = np.bincount(cell[held], weights=place[held], minlength=size).reshape(len(top), -1)
    counts = np.maximum(pool_sizes - relevant.counts, found).astype(np.float64)
    total, listed = counts.sum(axis=1), held.sum(axis=1)
    behind = total - listed
    shared_rank = (listed + 1 + total) / 2
    return kruskal_wallis(sums + (counts - found) * shared_rank[:, None], counts, behind**3 - behind)[1]


def pooled(relevant: RelevantRanks) -> tuple[float, float, Floats]:
    """PEER pooled over queries: one Kruskal-Wallis test of all queries' relevant documents by language.

    Each relevant document enters with its place among its query's, (place - 1/2) / number, equal scores sharing theirs,
    so that hard queries do not weigh more than easy ones; these are ranked together. With a thousand queries p is 0 for
    the slightest bias: the effect size says how much there is.

    Returns:
        p; epsilon squared, H / (N - 1), the share of the ranks' variance that lies between languages, in [0, 1], 0 is
        fair (Tomczak & Tomczak 2014); and the rank of each document in the pooled order, shape (documents,).
    """
    number = relevant.counts.sum(axis=1)[relevant.query]
    # As scipy.stats.rankdata, whose package takes longer to load than a finished run takes to answer.
    _, place, sizes = np.unique((relevant.shared_place - 0.5) / number, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    groups = relevant.shape[1]
    sums = np.bincount(relevant.language, weights=ranks, minlength=groups)[None].astype(np.float64)
    counts = np.bincount(relevant.language, minlength=groups)[None].astype(np.float64)
    tied = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    statistic, p = kruskal_wallis(sums, counts, np.array([(tied**3 - tied).sum()]))
    return float(p[0]), float(statistic[0] / max(1, len(ranks) - 1)), ranks


def _ties(level: RelevantRanks) -> Floats:
    """Sum of t**3 - t over the sets of relevant documents that tie; (queries,)."""
    tied = np.unique(np.column_stack([level.query, level.shared_place]), axis=0, return_counts=True)
    sizes = tied[1].astype(np.float64)
    query = tied[0][:, 0].astype(np.int64)
    return np.bincount(query, weights=sizes**3 - sizes, minlength=level.shape[0]).astype(np.float64)


def epsilon_squared(sums: Floats, counts: Floats, squares: Floats) -> Floats:
    """Share of the ranks' variance that lies between groups, as `pooled` gives it, from sums of ranks.

    Args:
        sums: of the ranks in each group; (samples, groups).
        counts: of members of each group; (samples, groups).
        squares: sum of all squared ranks; (samples,).

    Returns:
        Shape (samples,); 0 where all ranks tie.
    """
    centre = sums.sum(axis=1) ** 2 / np.maximum(counts.sum(axis=1), 1)
    between = np.divide(sums**2, counts, out=np.zeros_like(sums), where=counts > 0).sum(axis=1) - centre
    spread = squares - centre
    return np.divide(between, spread, out=np.zeros_like(between), where=spread > 1e-9 * np.maximum(squares, 1e-300))
