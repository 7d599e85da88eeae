"""Measures of ir_measures that see more than the ranks of relevant documents.

They take `JudgedRanks` with the documents that are judged not relevant, or with the sizes of the rankings, and give one
value per query, shape (queries,).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from xlir_bench.measures.effectiveness import persistence_refused
from xlir_bench.measures.judged_ranks import Floats, JudgedRanks
from xlir_bench.measures.measure import Definition

_EPSILON = 0.00001
"""What trec_eval's infAP adds to counts."""


def judgement_rate(judged: JudgedRanks, cutoff: float = np.inf) -> Floats:
    """Share of the first `cutoff` documents that are judged, whatever the judgement."""
    assert judged.other_ranks is not None
    found = _within(judged.ranks, cutoff) + _within(judged.other_ranks, cutoff)
    shown = np.minimum(_sizes(judged), cutoff)
    return np.divide(found, shown, out=np.zeros(len(judged)), where=shown > 0)


def bpref(judged: JudgedRanks) -> Floats:
    """How often judged documents that are not relevant come before relevant ones.

    Source: Buckley & Voorhees 2004, "Retrieval evaluation with incomplete information", as trec_eval computes it.
    """
    before, others = _counted_others(judged)
    relevant = (judged.gains > 0).sum(axis=1, keepdims=True)
    most = np.minimum(others, relevant)
    loss = np.divide(np.minimum(before, relevant), most, out=np.zeros(before.shape), where=(before > 0) & (most > 0))
    kept = np.where(np.isfinite(judged.ranks), 1.0 - loss, 0.0)
    return kept.sum(axis=1) / np.maximum(relevant[:, 0], 1)


def inferred_average_precision(judged: JudgedRanks) -> Floats:
    """Average precision as it is expected where documents without a judgement were not in the pool of judgements.

    Documents with a gain below 0 were in that pool and not judged. Source: Yilmaz & Aslam 2006, "Estimating average
    precision with incomplete and imperfect judgments" (trec_eval's `infAP`).
    """
    before, _ = _counted_others(judged)
    assert judged.other_gains is not None
    pooled = before + _before(judged, judged.other_gains < 0)
    earlier = np.arange(judged.ranks.shape[1])[None, :]
    found = np.isfinite(judged.ranks)
    rank = np.where(found, judged.ranks, 1.0)
    precise = (earlier + pooled) / rank * (earlier + _EPSILON) / (earlier + before + 2 * _EPSILON)
    values = np.where(found, 1.0 / rank + np.where(rank > 1, precise, 0.0), 0.0)
    return values.sum(axis=1) / np.maximum((judged.gains > 0).sum(axis=1), 1)


def accuracy(judged: JudgedRanks, cutoff: float = np.inf) -> Floats:
    """Chance that a relevant document of the first `cutoff` comes before one that is not relevant.

    Returns:
        NaN where the first documents have no relevant one, or no other.
    """
    shown = np.minimum(_sizes(judged), cutoff)
    inside = np.isfinite(judged.ranks) & (judged.ranks <= cutoff)
    relevant = inside.sum(axis=1)
    others = shown - relevant
    earlier = np.arange(judged.ranks.shape[1])[None, :]
    before = np.where(inside, judged.ranks - 1.0 - earlier, 0.0).sum(axis=1)
    pairs = others * relevant
    return np.where(pairs > 0, 1.0 - before / np.maximum(pairs, 1.0), np.nan)


def compatibility(judged: JudgedRanks, p: float = 0.95, normalize: bool = True) -> Floats:
    """Rank-biased overlap of a ranking with the best one: documents by gain, then as they are ranked.

    Source: Clarke, Vtyurina & Smucker 2021, "Assessing top-k preferences".
    """
    order = np.argsort(-judged.gains, axis=1, kind="stable")
    ranks, there = (np.take_along_axis(column, order, axis=1) for column in (judged.ranks, judged.gains > 0))
    best = np.broadcast_to(np.arange(1.0, ranks.shape[1] + 1), ranks.shape)
    depths = np.maximum(_sizes(judged), there.sum(axis=1)).astype(np.int64)
    values = np.zeros(len(judged))
    for depth in np.unique(depths).tolist():
        rows = depths == depth
        weight = p ** np.arange(depth, dtype=np.float64)
        # A document that both have from place m on adds 1/i to the agreement at every place i from there.
        rest = np.append(np.cumsum((weight / np.arange(1, depth + 1))[::-1])[::-1], 0.0)
        both = np.where(there[rows], np.maximum(ranks[rows], best[rows]), depth + 1)
        alike = rest[np.minimum(both, depth + 1).astype(np.int64) - 1].sum(axis=1)
        ideal = rest[np.where(there[rows], best[rows], depth + 1).astype(np.int64) - 1].sum(axis=1)
        most = ideal if normalize else np.full(len(ideal), weight.sum())
        values[rows] = np.divide(alike, most, out=np.zeros(len(alike)), where=most > 0)
    return values


def _within(ranks: Floats, cutoff: float) -> Floats:
    return (np.isfinite(ranks) & (ranks <= cutoff)).sum(axis=1).astype(np.float64)


def _sizes(judged: JudgedRanks) -> Floats:
    if judged.sizes is None:
        raise ValueError("the sizes of the rankings are unknown")
    return judged.sizes


def _counted_others(judged: JudgedRanks) -> tuple[Floats, Floats]:
    """For each relevant document, how many come before it that are judged not relevant; and how many there are.

    A gain below 0 is TREC's sign for a document that was not judged.

    Returns:
        Shapes (queries, relevant) and (queries, 1).
    """
    assert judged.other_gains is not None
    counts = judged.other_gains >= 0
    return _before(judged, counts), counts.sum(axis=1, keepdims=True).astype(np.float64)


def _before(judged: JudgedRanks, counts: npt.NDArray[np.bool_]) -> Floats:
    """For each relevant document, how many of the chosen others come before it; (queries, relevant)."""
    assert judged.other_ranks is not None
    before = np.zeros(judged.ranks.shape)
    for column in np.where(counts, judged.other_ranks, np.inf).T:
        before += column[:, None] < judged.ranks
    return before


def _no_cutoff(parameters: Mapping[str, Any]) -> str | None:
    if "cutoff" not in parameters:
        return None
    return (
        "at a cut-off it is defined only for queries with a relevant document among the first, so that each model is "
        "averaged over other queries; write Accuracy"
    )


DEFINITIONS = (
    Definition("Judged", judgement_rate, "share of the first documents that are judged", needs="judged"),
    Definition("Bpref", bpref, "binary preference", needs="judged", compares_judged=True),
    Definition("infAP", inferred_average_precision, "inferred average precision", needs="judged"),
    Definition(
        "Accuracy", accuracy, "chance that a relevant document comes before another", needs="sizes", refuses=_no_cutoff
    ),
    Definition("Compat", compatibility, "overlap with the best ranking", needs="sizes", refuses=persistence_refused),
)
