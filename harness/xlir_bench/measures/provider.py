"""The measures as a provider of ir_measures: `import xlir_bench.measures.provider` registers it.

    import ir_measures
    from xlir_bench.measures.provider import provider

    provider.calc_aggregate([ir_measures.nDCG @ 10, ir_measures.RBP(rel=1) @ 10], qrels, run)
    ir_measures.calc_aggregate([ir_measures.RBP(rel=1) @ 10], qrels, run)

It is `ir_measures.providers.registry["xlir_bench"]`, and the last in ir_measures' own order: `ir_measures.calc` asks it
for what no other provider that is installed computes. A run is ordered as trec_eval orders it, by score in float32,
descending, then by document id, descending.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ir_measures
import numpy as np
from ir_measures import providers

from xlir_bench.errors import InputError
from xlir_bench.measures.judged_ranks import UNJUDGED, JudgedRanks
from xlir_bench.measures.measure import Gains
from xlir_bench.measures.vocabulary import of_ir_measures


class XlirBenchProvider(providers.Provider):  # type: ignore[misc]
    """Computes what `xlir_bench.measures.parse` accepts, and NumRel and NumQ."""

    NAME = "xlir_bench"

    def supports(self, measure: ir_measures.Measure) -> bool:
        """Whether it computes a measure with these parameters."""
        try:
            of_ir_measures(measure, str(measure.NAME))
        except InputError:
            return False
        return True

    def _evaluator(self, measures: Iterable[ir_measures.Measure], qrels: Any) -> providers.Evaluator:  # noqa: ANN401
        return _Evaluator(measures, ir_measures.util.QrelsConverter(qrels).as_dict_of_dict())


class _Evaluator(providers.Evaluator):  # type: ignore[misc]
    def __init__(self, measures: Iterable[ir_measures.Measure], qrels: dict[str, dict[str, int]]) -> None:
        super().__init__(list(measures), set(qrels))
        self._ours = {measure: of_ir_measures(measure, str(measure)) for measure in self.measures}
        self._qrels = qrels
        gains = Gains.of(np.array([gain for judged in qrels.values() for gain in judged.values()], dtype=np.float64))
        for measure in self._ours.values():
            if (reason := measure.definition.unusable(gains, measure.parameters)) is not None:
                raise InputError(f"{measure} cannot be measured: {reason}")

    def _iter_calc(self, run: Any) -> Iterator[ir_measures.Metric]:  # noqa: ANN401
        found = ir_measures.util.RunConverter(run).as_dict_of_dict()
        queries = [query for query in found if query in self._qrels]
        judged = _judged(queries, self._qrels, found)
        for theirs, ours in self._ours.items():
            for query, value in zip(queries, ours(judged).tolist(), strict=True):
                if not np.isnan(value):
                    yield ir_measures.Metric(query, theirs, value)


def _judged(queries: list[str], qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]) -> JudgedRanks:
    """The ranks of the judged documents of some queries, in their order."""
    relevant: list[tuple[int, float, float]] = []
    others: list[tuple[int, float, float]] = []
    for row, query in enumerate(queries):
        scores = {document: float(np.float32(score)) for document, score in run[query].items()}
        ordered = sorted(sorted(scores, reverse=True), key=lambda document: -scores[document])
        rank = {document: place for place, document in enumerate(ordered, 1)}
        for document, gain in qrels[query].items():
            (relevant if gain > 0 else others).append((row, rank.get(document, UNJUDGED), gain))
    rows = np.arange(len(queries))
    judged = JudgedRanks.of(*_columns(relevant), rows).with_others(_columns(others), rows)
    sizes = np.array([len(run[query]) for query in queries], dtype=np.float64)
    return JudgedRanks(judged.ranks, judged.gains, judged.other_ranks, judged.other_gains, sizes)


def _columns(entries: list[tuple[int, float, float]]) -> tuple[Any, Any, Any]:
    table = np.array(entries, dtype=np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1], table[:, 2]


provider = XlirBenchProvider()
providers.register(provider)
ir_measures.DefaultPipeline.providers.append(provider)
