"""How well relevant documents are found. Definitions and names are those of trec_eval and ir_measures.

Every function takes `JudgedRanks`, shape (queries, judged), and gives one value per query, shape (queries,). Gains
count as they are (linear), and relevant is what has a gain above 0. Ranks come from the full pool: nothing is cut
off unless a cut-off is given. A query without a relevant document has the value 0 in all of them, as in trec_eval.
"""

from __future__ import annotations

import numpy as np

from xlir_bench.measures.measure import Definition, Floats, JudgedRanks, define


def average_precision(judged: JudgedRanks, cutoff: float = np.inf) -> Floats:
    """Mean over all relevant documents of the precision at each one's rank; those behind the cut-off count 0.

    Source: Buckley & Voorhees 2000, "Evaluating evaluation measure stability" (trec_eval's `map`, `map_cut`).
    """
    found = np.arange(1, judged.ranks.shape[1] + 1)
    precision = np.where(judged.ranks <= cutoff, found / judged.ranks, 0.0)
    return precision.sum(axis=1) / _relevant(judged)


def reciprocal_rank(judged: JudgedRanks, cutoff: float = np.inf) -> Floats:
    """One over the rank of the first relevant document, 0 behind the cut-off (Kantor & Voorhees 2000)."""
    first = judged.ranks[:, 0]
    return np.where(first <= cutoff, 1.0 / first, 0.0)


def ndcg(judged: JudgedRanks, cutoff: float = np.inf) -> Floats:
    """Discounted cumulative gain over that of the best possible ranking; gain / log2(rank + 1).

    Source: Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with trec_eval's discount.
    """
    places = np.arange(1, judged.ranks.shape[1] + 1)
    best = np.where(places <= cutoff, -np.sort(-judged.gains, axis=1) / np.log2(places + 1), 0.0)
    gained = np.where(judged.ranks <= cutoff, judged.gains / np.log2(judged.ranks + 1), 0.0)
    ideal = best.sum(axis=1)
    return np.divide(gained.sum(axis=1), ideal, out=np.zeros(len(ideal)), where=ideal > 0)


def recall(judged: JudgedRanks, cutoff: int) -> Floats:
    """Share of the relevant documents that are among the first `cutoff`."""
    return (judged.ranks <= cutoff).sum(axis=1) / _relevant(judged)


def precision(judged: JudgedRanks, cutoff: int) -> Floats:
    """Share of the first `cutoff` places that hold a relevant document, also where the pool is smaller."""
    return (judged.ranks <= cutoff).sum(axis=1) / cutoff


def success(judged: JudgedRanks, cutoff: int) -> Floats:
    """1 where a relevant document is among the first `cutoff`, else 0."""
    return (judged.ranks[:, 0] <= cutoff).astype(np.float64)


def _relevant(judged: JudgedRanks) -> Floats:
    """How many relevant documents each query has; 1 for none, where the numerator is 0."""
    return np.maximum((judged.gains > 0).sum(axis=1), 1).astype(np.float64)


define(Definition("AP", average_precision, average_precision, True, True, "average precision"))
define(Definition("RR", reciprocal_rank, reciprocal_rank, True, True, "reciprocal rank of the first relevant document"))
define(Definition("nDCG", ndcg, ndcg, True, True, "normalised discounted cumulative gain"))
define(Definition("R", None, recall, True, True, "recall: share of the relevant documents found"))
define(Definition("P", None, precision, True, True, "precision: share of the found documents that are relevant"))
define(Definition("Success", None, success, True, True, "whether a relevant document was found"))
