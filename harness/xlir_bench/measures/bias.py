"""How unevenly a ranking treats languages."""

from __future__ import annotations

import numpy as np

from xlir_bench.measures.judged_ranks import Floats, JudgedRanks
from xlir_bench.measures.measure import Definition


def rank_distance(judged: JudgedRanks) -> Floats:
    """Largest rank minus smallest rank of a query's relevant documents, in documents. Lower is better; at least 0.

    In the multilingual setting of a parallel suite the relevant documents say the same in different languages: an
    encoder without a language bias ranks them next to one another. Where n documents of N are relevant, a random
    ranking has the expectation (N + 1)(n - 1)/(n + 1). Source: arXiv 2408.10536.

    Returns:
        Shape (queries,); 0 where a query has one relevant document, NaN where it has none.
    """
    answered = np.isfinite(judged.ranks[:, 0])
    largest = np.where(np.isfinite(judged.ranks), judged.ranks, -np.inf).max(axis=1)
    return np.subtract(largest, judged.ranks[:, 0], out=np.full(len(judged), np.nan), where=answered)


DEFINITIONS = (
    Definition(
        "rank_distance",
        rank_distance,
        "ranks between a query's first and last relevant document",
        higher_is_better=False,
        bounded=False,
    ),
)
