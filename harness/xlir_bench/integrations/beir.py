"""BEIR's own measures, computed by BEIR: capped recall, holes, top-k accuracy.

They need the documents at the top of each ranking, not only the ranks of relevant ones, and so a result whose runs were
written: `evaluate(..., output=..., top_k=100)`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xlir_bench.api.collection import Collection
from xlir_bench.api.evaluating import suites_of
from xlir_bench.api.result import Result
from xlir_bench.collection import Collection as TestCollection
from xlir_bench.errors import InputError
from xlir_bench.results.exchange.runs import INDEX, has_runs
from xlir_bench.results.exchange.trec import token
from xlir_bench.retrieval.rankings import WHOLE_POOL
from xlir_bench.suites import obtain

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("R_cap", "Hole", "Accuracy")
"""Recall with min(relevant, k) as its denominator; share of the first k that nobody judged for any query; whether a
relevant document is among the first k. BEIR's `mrr` is ir_measures' RR."""


def custom_measures(
    result: Result,
    suite: str | Path | Collection,
    *,
    measures: Sequence[str] = MEASURES,
    k_values: Sequence[int] = (1, 3, 5, 10, 100),
    data: str | Path | None = None,
) -> pd.DataFrame:
    """`beir.retrieval.evaluation.EvaluateRetrieval.evaluate_custom` on the runs of a result.

    BEIR rounds to five decimals, and takes the mean over the judged queries of a row.

    Args:
        result: with runs.
        suite: what it was measured on; judgements of documents that are not relevant count in `Hole`.
        measures: of `MEASURES`.
        k_values: cut-offs, none deeper than the runs.
        data: folder searched first for the suite's files.

    Returns:
        Columns `setting`, `query_language`, `document_language`, `measure`, `value`.

    Raises:
        InputError: there is no such measure, the result has no runs or none so deep, or is of other data.
    """
    import pandas as pd
    from beir.retrieval.evaluation import EvaluateRetrieval

    if wrong := [name for name in measures if name not in MEASURES]:
        raise InputError(f"BEIR has no measure {wrong[0]!r} here; there are {', '.join(MEASURES)}")
    folder, wanted = result.runs, max(k_values)
    if folder is None or result.path is None:
        raise InputError(f"{result!r} has no runs: evaluate with output= and top_k={wanted}")
    depth = int(json.loads((folder / INDEX).read_text("utf-8"))["depth"])
    if depth < wanted or not has_runs(result.stored, result.path, depth):
        raise InputError(f"{folder}: runs of this result, {wanted} deep, are not there: evaluate with top_k={wanted}")
    [declared] = suites_of([suite])
    collection = obtain(declared, None if data is None else Path(data), result.languages)
    if collection.fingerprint != result.stored.suite.fingerprint:
        raise InputError(f"{declared.name}: its data are others than those of {result!r}")
    rows = []
    for setting, x, y in dict.fromkeys(
        (s.setting, s.query_language, s.document_language) for s in result.stored.scores
    ):
        judged = _judgements(collection, x, y)
        found = _run(folder / setting / f"{x}-{'all' if y == WHOLE_POOL else y}.run")
        answered = {query: found[query] for query in found if any(gain > 0 for gain in judged[query].values())}
        for name in measures:
            values: dict[str, float] = EvaluateRetrieval.evaluate_custom(judged, answered, list(k_values), name)
            rows += [(setting, x, y, measure, value) for measure, value in values.items()]
    return pd.DataFrame(rows, columns=["setting", "query_language", "document_language", "measure", "value"])


def _judgements(collection: TestCollection, x: str, y: str) -> dict[str, dict[str, int]]:
    """Query -> document -> gain, of the queries of a row with a judgement in its pool."""
    queries, documents, judged = collection.queries, collection.documents, collection.judgements
    inside = queries.languages_at(judged.query) == x
    if y != WHOLE_POOL:
        inside &= documents.languages_at(judged.document) == y
    kept = np.union1d(
        judged.query[collection.relevant & inside], np.intersect1d(collection.unanswered, judged.query[inside])
    )
    inside &= np.isin(judged.query, kept) & ~collection.left_out
    found: dict[str, dict[str, int]] = {}
    for at in np.flatnonzero(inside).tolist():
        name = token(queries.ids[int(judged.query[at])])
        found.setdefault(name, {})[token(documents.ids[int(judged.document[at])])] = int(judged.gain[at])
    return found


def _run(path: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            query, _, document, rank, *_ = line.split()
            # The order of the run, which ends ties, rather than its scores.
            found.setdefault(query, {})[document] = -float(rank)
    return found
