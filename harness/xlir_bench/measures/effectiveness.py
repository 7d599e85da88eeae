"""How well relevant documents are found. Definitions, names and parameters are those of trec_eval and ir_measures.

Every function takes `JudgedRanks`, shape (queries, relevant), and gives one value per query, shape (queries,). Gains
count as they are (linear) unless the measure says otherwise, and relevant is what has a gain above 0. Ranks come from
the full pool: nothing is cut off unless a cut-off is given. A query without a relevant document has the value 0 in all
of them, as in trec_eval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xlir_bench.measures.judged_ranks import Floats, JudgedRanks
from xlir_bench.measures.measure import Definition, Gains

_HIGHEST_GRADE = 4
"""The greatest gain that ERR knows: TREC's web track and its program gdeval take 0 to 4."""


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


def ndcg(
    judged: JudgedRanks, cutoff: float = np.inf, dcg: str = "log2", gains: Mapping[int, int] | None = None
) -> Floats:
    """Discounted cumulative gain over that of the best possible ranking; gain / log2(rank + 1).

    Source: Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with trec_eval's discount.

    Args:
        judged: the ranks.
        cutoff: how many places count, also of the best ranking.
        dcg: "log2" takes gains as they are, "exp-log2" takes 2**gain - 1 (Burges et al. 2005).
        gains: what counts in place of a gain; one that is not named counts as it is.
    """
    gained = judged.gains
    for before, after in (gains or {}).items():
        gained = np.where(judged.gains == before, max(after, 0), gained)
    gained = 2.0**gained - 1.0 if dcg == "exp-log2" else gained
    places = np.arange(1, judged.ranks.shape[1] + 1)
    best = np.where(places <= cutoff, -np.sort(-gained, axis=1) / np.log2(places + 1), 0.0)
    reached = np.where(judged.ranks <= cutoff, gained / np.log2(judged.ranks + 1), 0.0)
    ideal = best.sum(axis=1)
    return np.divide(reached.sum(axis=1), ideal, out=np.zeros(len(ideal)), where=ideal > 0)


def recall(judged: JudgedRanks, cutoff: int) -> Floats:
    """Share of the relevant documents that are among the first `cutoff`."""
    return (judged.ranks <= cutoff).sum(axis=1) / _relevant(judged)


def precision(judged: JudgedRanks, cutoff: int) -> Floats:
    """Share of the first `cutoff` places that hold a relevant document, also where the pool is smaller."""
    return (judged.ranks <= cutoff).sum(axis=1) / cutoff


def success(judged: JudgedRanks, cutoff: int) -> Floats:
    """1 where a relevant document is among the first `cutoff`, else 0."""
    return (judged.ranks[:, 0] <= cutoff).astype(np.float64)


def r_precision(judged: JudgedRanks) -> Floats:
    """Precision among the first n documents, n being how many are relevant (trec_eval's `Rprec`)."""
    relevant = _relevant(judged)
    return (judged.ranks <= relevant[:, None]).sum(axis=1) / relevant


def interpolated_precision(judged: JudgedRanks, recall: float) -> Floats:
    """The greatest precision at any rank at which this share of the relevant documents is found.

    Source: trec_eval's `iprec_at_recall`, which asks for recall * n + .9 documents, rounded down.
    """
    places = np.arange(1, judged.ranks.shape[1] + 1)
    relevant = (judged.gains > 0).sum(axis=1)
    asked = np.floor(recall * relevant + 0.9)
    behind = places >= asked[:, None]
    return np.where(behind, places / judged.ranks, 0.0).max(axis=1)


def expected_reciprocal_rank(judged: JudgedRanks, cutoff: float = np.inf) -> Floats:
    """Mean of 1/rank of the document at which a reader stops, who stops at gain g with chance (2**g - 1)/16.

    Source: Chapelle et al. 2009, "Expected reciprocal rank for graded relevance", with gdeval's five grades.
    """
    stops = (2.0**judged.gains - 1.0) / 2.0**_HIGHEST_GRADE
    arrives = np.cumprod(np.column_stack([np.ones(len(judged)), 1.0 - stops[:, :-1]]), axis=1)
    return np.where(judged.ranks <= cutoff, arrives * stops / judged.ranks, 0.0).sum(axis=1)


def rank_biased_precision(judged: JudgedRanks, cutoff: float = np.inf, p: float = 0.8) -> Floats:
    """(1 - p) times the sum of p**(rank - 1) over the relevant documents.

    Source: Moffat & Zobel 2008, "Rank-biased precision for measurement of retrieval effectiveness".
    """
    return (1.0 - p) * np.where(judged.ranks <= cutoff, p ** (judged.ranks - 1.0), 0.0).sum(axis=1)


def relevant_documents(judged: JudgedRanks) -> Floats:
    """How many relevant documents there are."""
    return (judged.gains > 0).sum(axis=1).astype(np.float64)


def one(judged: JudgedRanks) -> Floats:
    """1 for every query."""
    return np.ones(len(judged))


def _relevant(judged: JudgedRanks) -> Floats:
    """How many relevant documents each query has; 1 for none, where the numerator is 0."""
    return np.maximum((judged.gains > 0).sum(axis=1), 1).astype(np.float64)


def _gains_refused(parameters: Mapping[str, Any]) -> str | None:
    gains = parameters.get("gains", {})
    if not all(type(number) is int and abs(number) <= 1_000_000 for pair in gains.items() for number in pair):
        return "gains are whole numbers, e.g. gains={1: 1, 2: 5}"
    if any(before <= 0 < after for before, after in gains.items()):
        return "gains give a weight to documents that are judged not relevant"
    return None


def _recall_refused(parameters: Mapping[str, Any]) -> str | None:
    share = parameters["recall"]
    if not 0 <= share <= 1 or round(share, 2) != share:
        return "the recall is a number from 0 to 1 with at most two decimals, e.g. IPrec@0.1"
    return None


def persistence_refused(parameters: Mapping[str, Any]) -> str | None:
    """Why a persistence cannot be had."""
    return None if 0 < parameters.get("p", 0.5) < 1 else "p lies between 0 and 1"


def _too_high(gains: Gains, _: Mapping[str, Any]) -> str | None:
    if gains.greatest <= _HIGHEST_GRADE:
        return None
    return f"it is defined for gains up to {_HIGHEST_GRADE}, and the greatest is {gains.greatest:g}"


def _graded(gains: Gains, parameters: Mapping[str, Any]) -> str | None:
    if "rel" in parameters or set(gains.distinct[gains.distinct > 0].tolist()) <= {1.0}:
        return None
    at = f"@{parameters['cutoff']}" if "cutoff" in parameters else ""
    p = f"p={parameters['p']}," if "p" in parameters else ""
    return f"gains are graded, and it does not say what a grade is worth; write RBP({p}rel=1){at}"


_OF_THE_DATA = "it counts the data and is summed over queries; a figure here is a mean over queries"

DEFINITIONS = (
    Definition("AP", average_precision, "average precision"),
    Definition("RR", reciprocal_rank, "reciprocal rank of the first relevant document"),
    Definition("nDCG", ndcg, "normalised discounted cumulative gain", refuses=_gains_refused),
    Definition("R", recall, "recall: share of the relevant documents found"),
    Definition("P", precision, "precision: share of the found documents that are relevant"),
    Definition("Success", success, "whether a relevant document was found"),
    Definition("Rprec", r_precision, "precision among as many documents as are relevant"),
    Definition("IPrec", interpolated_precision, "interpolated precision at a recall", refuses=_recall_refused),
    Definition("ERR", expected_reciprocal_rank, "expected reciprocal rank", unusable=_too_high),
    Definition("RBP", rank_biased_precision, "rank-biased precision", refuses=persistence_refused, unusable=_graded),
    Definition("NumRel", relevant_documents, "relevant documents", bounded=False, not_a_mean=_OF_THE_DATA),
    Definition("NumQ", one, "queries", bounded=False, not_a_mean=_OF_THE_DATA),
)
