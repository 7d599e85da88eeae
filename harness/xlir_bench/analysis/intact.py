"""Whether the files beside a stored result are whole and its own, so that the result may be taken for finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from xlir_bench.analysis.bias import measure_bias
from xlir_bench.analysis.verified import recompute
from xlir_bench.collection import Collection
from xlir_bench.errors import XlirError
from xlir_bench.results import Result, load_ranks, ranks_path
from xlir_bench.retrieval import RankTable, Unanswered, Wanted

_BIAS_FOLLOWS = 2e-6
"""Figures of bias are stated with six digits."""


def fault_of(result: Result, path: Path, collection: Collection) -> str | None:
    """What is wrong with the ranks and leaders beside a result, in one line; None where nothing is.

    Args:
        result: as it was read.
        path: its file.
        collection: that it is of, by its fingerprint.
    """
    try:
        ranks = load_ranks(ranks_path(path))
    except XlirError as error:
        return str(error)
    across = any(score.setting != "monolingual" for score in result.scores)
    name = ranks_path(path).name
    if not _is_of(ranks, Wanted.of(collection, across_languages=across), collection):
        return f"{name} beside it is of other queries or judgements"
    try:
        if recompute(result, ranks, analysis=False).discrepancies:
            return f"other figures than it states follow from {name} beside it"
        bias = measure_bias(ranks)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return f"no figures follow from {name} beside it ({' '.join(str(error).split())})"
    stated = None if result.bias is None else result.bias.summary
    follows = None if bias is None else bias.summary
    if (stated is None) != (follows is None) or not _same(stated or {}, follows or {}, _BIAS_FOLLOWS):
        return f"other figures of bias than it states follow from {name} and its leaders"
    return None


def _is_of(ranks: RankTable, wanted: Wanted, collection: Collection) -> bool:
    queries, documents = collection.queries, collection.documents
    return (
        len(ranks) == len(wanted)
        and tuple(ranks.languages) == wanted.languages
        and tuple(ranks.pool_sizes) == tuple(documents.sizes.values())
        and np.array_equal(ranks.query, wanted.queries[wanted.query])
        and np.array_equal(ranks.gain, wanted.gain)
        and list(ranks.query_id) == [queries.ids[row] for row in ranks.query.tolist()]
        and list(ranks.document_id) == [documents.ids[row] for row in wanted.document.tolist()]
        and ranks.unanswered.entries() == Unanswered.of(collection).entries()
    )


def _same(stated: dict[Any, float], follows: dict[Any, float], bound: float) -> bool:
    return stated.keys() == follows.keys() and all(
        abs(follows[key] - value) <= bound * max(1.0, abs(value)) for key, value in stated.items()
    )
