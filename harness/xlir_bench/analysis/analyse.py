"""A result with what the ranks say beyond its scores: intervals and language bias."""

from __future__ import annotations

from xlir_bench.analysis.bias import measure_bias
from xlir_bench.analysis.questions import Column, Questions, ends
from xlir_bench.measures import parse
from xlir_bench.results import Interval, Result
from xlir_bench.retrieval import RankTable


def analysed(result: Result, ranks: RankTable) -> Result:
    """The result with `intervals` and `bias` filled in, from its own ranks."""
    intervals = summary_intervals(result, ranks, Questions.of(ranks))
    return result.model_copy(update={"intervals": intervals, "bias": measure_bias(ranks)})


def summary_intervals(result: Result, ranks: RankTable, questions: Questions) -> dict[str, dict[str, Interval]]:
    """Setting -> measure -> the 95 % interval of the summary's figure."""
    figures = {
        (setting, name): columns(ranks, questions, setting, name)
        for setting, names in result.summary.items()
        for name in names
    }
    found: dict[str, dict[str, Interval]] = {}
    for (setting, name), both in ends(questions.resampled(figures)).items():
        found.setdefault(setting, {})[name] = both
    return found


def columns(ranks: RankTable, questions: Questions, setting: str, name: str) -> list[Column]:
    """The rows of a setting, each with the measure's value for its queries."""
    return list(cells(ranks, questions, setting, name).values())


def cells(ranks: RankTable, questions: Questions, setting: str, name: str) -> dict[tuple[str, str], Column]:
    """(query language, document language) -> the measure's values, of every row in which it is defined for a query."""
    measure = parse(name)
    found = {}
    for row in ranks.rows(setting):  # type: ignore[arg-type]
        numbers, values = row.values(measure)
        if len(numbers):
            found[row.query_language, row.document_language] = Column(questions.at(numbers), values)
    return found
