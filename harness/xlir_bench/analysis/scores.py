"""The scores of a result and their means, computed from its table of ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from xlir_bench.collection import Setting
from xlir_bench.measures import parse
from xlir_bench.results import Score
from xlir_bench.retrieval import RankTable


def row_scores(ranks: RankTable, settings: Mapping[Setting, Sequence[str]]) -> tuple[Score, ...]:
    """Every measure in every row of some settings, in the order of the settings, rows and measures.

    Args:
        ranks: of the run.
        settings: setting -> names of measures.

    Raises:
        InputError: a name is not a measure's.
    """
    found: list[Score] = []
    for setting, names in settings.items():
        measures = [parse(name) for name in names]
        for row in ranks.rows(setting) if measures else ():
            for measure in measures:
                numbers, values = row.values(measure)
                if not len(numbers):
                    continue
                found.append(
                    Score(
                        setting=setting,
                        query_language=row.query_language,
                        document_language=row.document_language,
                        measure=str(measure),
                        value=float(values.mean()),
                        queries=len(numbers),
                        documents=row.documents,
                    )
                )
    return tuple(found)


def summary_of(scores: Iterable[Score]) -> dict[str, dict[str, float]]:
    """Setting -> measure -> mean over rows, each with equal weight."""
    values: dict[str, dict[str, list[float]]] = {}
    for score in scores:
        values.setdefault(score.setting, {}).setdefault(score.measure, []).append(score.value)
    return {
        setting: {measure: float(np.mean(rows)) for measure, rows in measures.items()}
        for setting, measures in values.items()
    }
