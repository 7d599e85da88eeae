"""The one cut of a run into questions, which intervals and tests take as their unit, and figures as means over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Integers
from xlir_bench.measures import statistics
from xlir_bench.retrieval.ranks import Names, RankTable

Floats = npt.NDArray[np.float64]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Column:
    """One row of a setting, or one cell of a map: a value for each of some queries, of which the mean is reported.

    Attributes:
        rows: positions in `Questions.number`; (values,).
        values: no NaN; (values,).
    """

    rows: Integers
    values: Floats

    @staticmethod
    def of(rows: Integers, values: Floats) -> Column:
        """Without the queries that have no value."""
        defined = ~np.isnan(values)
        return Column(rows[defined], values[defined])


@dataclass(frozen=True)
class Questions:
    """The queries of a run, and which question each is a version of.

    Attributes:
        number: of each query in the run, ascending; (queries,).
        query_id, language: of each query; (queries,).
        cluster: the place of its question in `names`; (queries,).
        names: of the questions, sorted; (questions,).
    """

    number: Integers
    query_id: Names
    language: Names
    cluster: Integers
    names: tuple[str, ...]

    @staticmethod
    def of(ranks: RankTable) -> Questions:
        """The queries of a run: those that have ranks, and those that are judged without a relevant document."""
        without = ranks.unanswered
        return Questions._of(
            np.concatenate([ranks.query, without.query]),
            np.concatenate([ranks.query_id, without.query_id]),
            np.concatenate([ranks.question, without.question]),
            np.concatenate([ranks.query_language, without.query_language]),
        )

    @staticmethod
    def answered(ranks: RankTable) -> Questions:
        """The queries that have ranks: those that bias is measured on."""
        return Questions._of(ranks.query, ranks.query_id, ranks.question, ranks.query_language)

    @staticmethod
    def _of(query: Integers, query_id: Names, question: Names, language: Names) -> Questions:
        number, first = np.unique(query, return_index=True)
        names, cluster = np.unique(question[first].astype(str), return_inverse=True)
        return Questions(number, query_id[first], language[first], cluster, tuple(str(n) for n in names))

    def at(self, numbers: Integers) -> Integers:
        """Positions of queries by their number."""
        return np.searchsorted(self.number, numbers)

    def of_language(self) -> Iterator[tuple[str, Integers]]:
        """Each query language, in code order, with the positions of its queries."""
        codes = self.language.astype(str)
        for code in np.unique(codes):
            yield str(code), np.flatnonzero(codes == code)

    def totals(self, columns: Sequence[Column]) -> tuple[Floats, Floats]:
        """Sum and number of each column's values in each question; (questions, columns) both."""
        size = len(self.names)
        sums, counts = np.zeros((size, len(columns))), np.zeros((size, len(columns)))
        for number, column in enumerate(columns):
            cluster = self.cluster[column.rows]
            sums[:, number] = statistics.per_cluster(cluster, column.values, size)
            counts[:, number] = np.bincount(cluster, minlength=size)
        return sums, counts

    def resampled(self, figures: Mapping[Key, Sequence[Column]]) -> dict[Key, Floats]:
        """Each figure, the mean over its columns with equal weight, in every bootstrap resample of the questions."""
        columns = [column for part in figures.values() for column in part]
        if not columns:
            return {}
        membership = np.zeros((len(columns), len(figures)))
        begin = 0
        for number, part in enumerate(figures.values()):
            membership[begin : begin + len(part), number] = 1.0
            begin += len(part)
        samples = statistics.bootstrap_macro(*self.totals(columns), membership)
        return {name: samples[:, number] for number, name in enumerate(figures)}


def ends(samples: Mapping[Key, Floats]) -> dict[Key, tuple[float, float]]:
    """The 95 % interval of each figure; a figure that no resample has a value of is left out."""
    found = {}
    for name, values in samples.items():
        if not np.isnan(values).all():
            low, high = statistics.interval(values[:, None])
            found[name] = (round(float(low[0]), 6), round(float(high[0]), 6))
    return found
