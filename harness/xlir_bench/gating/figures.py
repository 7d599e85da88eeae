"""The figures of two runs of one suite, question by question, from their ranks alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xlir_bench.analysis import Run
from xlir_bench.analysis.questions import Column, Floats, Questions, ends
from xlir_bench.errors import InputError
from xlir_bench.gating.bias import BiasLoss, MeasuredBias
from xlir_bench.gating.scale import Scale
from xlir_bench.gating.verdict import BIAS, EVERY, Figure, Lack
from xlir_bench.measures import parse, statistics
from xlir_bench.retrieval.ranks import Row

_FOLLOWS = 1e-6
"""How far a figure that a result states may lie from that which follows from its ranks."""


@dataclass
class Measured:
    """One run's figures; each setting's rows are ranked once."""

    run: Run
    questions: Questions
    bias: MeasuredBias
    _rows: dict[str, list[Row]] = field(default_factory=dict)
    _cells: dict[tuple[str, str], dict[tuple[str, str], Column]] = field(default_factory=dict)

    @staticmethod
    def of(run: Run) -> Measured:
        """Of a run."""
        return Measured(run, Questions.of(run.ranks), MeasuredBias(run))

    def lack(self, figure: Figure) -> Lack | None:
        """What the result lacks of a figure; None where it has all of it."""
        if figure.setting == BIAS:
            return self.bias.lack(figure)
        measures = self.run.result.summary.get(figure.setting)
        if measures is None:
            return Lack("setting", f"no {figure.setting} setting on {figure.suite}")
        if figure.measure not in measures:
            return Lack("measure", f"no {figure.measure} in the {figure.setting} setting of {figure.suite}")
        if not self.columns(figure):
            return Lack("row", f"no row {figure.languages} in the {figure.setting} setting of {figure.suite}")
        return None

    def columns(self, figure: Figure) -> list[Column]:
        """The rows that a figure is the mean of, each with a value per query."""
        return [
            column
            for (x, y), column in self._of(figure.setting, figure.measure).items()
            if figure.query_language in {EVERY, x} and figure.document_language in {EVERY, y}
        ]

    def value(self, figure: Figure) -> float:
        """The figure: the mean over its rows, each with equal weight; or a figure of bias."""
        if figure.setting == BIAS:
            value = self.bias.value(figure)
            assert value is not None, "what a result lacks is not asked for"
            return value
        return _macro(self.columns(figure))

    def scale(self, figure: Figure) -> Scale:
        """In which direction a figure gets worse."""
        return Scale.of(figure, self.bias.pool_shares)

    def _of(self, setting: str, measure: str) -> dict[tuple[str, str], Column]:
        if (setting, measure) not in self._cells:
            if setting not in self._rows:
                self._rows[setting] = list(self.run.ranks.rows(setting))  # type: ignore[arg-type]
            compute = parse(measure)
            cells = {}
            for row in self._rows[setting]:
                numbers, values = row.values(compute)
                if len(numbers):
                    cells[row.query_language, row.document_language] = Column(self.questions.at(numbers), values)
            self._check(setting, measure, cells)
            self._cells[setting, measure] = cells
        return self._cells[setting, measure]

    def _check(self, setting: str, measure: str, cells: dict[tuple[str, str], Column]) -> None:
        stated = self.run.result.summary[setting][measure]
        follows = _macro(list(cells.values())) if cells else None
        if follows is None or abs(follows - stated) > _FOLLOWS * max(1.0, abs(stated)):
            raise InputError(
                f"{self.run.name} on {self.run.result.suite.name}: the result says {setting} {measure} {stated:.6g}, "
                f"but from its ranks follows {'nothing' if follows is None else f'{follows:.6g}'}; run the model again"
            )


@dataclass(frozen=True)
class Pair:
    """The runs of one suite.

    Attributes:
        candidate, baseline: None where that side has no result, or none that may be compared.
        absent: what the candidate lacks of the whole suite; None where it can be compared.
    """

    candidate: Measured | None
    baseline: Measured | None
    absent: Lack | None = None

    @staticmethod
    def of(suite: str, candidate: Run | None, baseline: Run | None) -> Pair:
        """The runs, once it is sure that they are of the same data.

        Raises:
            InputError: they are of different versions of the suite, or of different data.
        """
        measured = Measured.of(baseline) if baseline is not None else None
        if candidate is None:
            lack = Lack("result", f"no result on {suite}: give `xlir-bench run` --suite {suite}")
            return Pair(None, measured, lack)
        if baseline is None or measured is None:
            return Pair(Measured.of(candidate), None)
        mine, theirs = candidate.result.suite, baseline.result.suite
        if mine.version != theirs.version:
            raise _refusal(suite, f"version {theirs.version} of the suite, the candidate on version {mine.version}")
        if lacking := [code for code in theirs.languages if code not in mine.languages]:
            return Pair(
                None, measured, Lack("languages", f"no {', '.join(lacking)} on {suite}: it was measured without")
            )
        if more := [code for code in mine.languages if code not in theirs.languages]:
            raise _refusal(suite, f"fewer languages than the candidate, without {', '.join(more)}")
        if mine.fingerprint != theirs.fingerprint:
            raise _refusal(suite, f"data {theirs.fingerprint[:12]}, the candidate on data {mine.fingerprint[:12]}")
        pair = Pair(Measured.of(candidate), measured)
        if not np.array_equal(pair.questions.query_id, measured.questions.query_id):
            raise _refusal(suite, "other queries than the candidate, as their ranks say")
        return pair

    @property
    def questions(self) -> Questions:
        """Of the side that is there; both have the same."""
        side = self.candidate or self.baseline
        assert side is not None, "a suite that no side has is never paired"
        return side.questions

    def losses(self, figure: Figure) -> list[Column]:
        """What the candidate lost, query by query, in each row of a figure that both have; above 0 is worse.

        Raises:
            InputError: the rows are of different queries.
        """
        assert self.candidate is not None
        assert self.baseline is not None
        scale = self.candidate.scale(figure)
        mine, theirs = self.candidate.columns(figure), self.baseline.columns(figure)
        same = len(mine) == len(theirs) and all(
            np.array_equal(a.rows, b.rows) for a, b in zip(mine, theirs, strict=True)
        )
        if not same:
            raise _refusal(figure.suite, "other relevant documents than the candidate, as their ranks say")
        return [
            Column(a.rows, scale.badness(a.values) - scale.badness(b.values)) for a, b in zip(mine, theirs, strict=True)
        ]

    def bias_loss(self, figure: Figure) -> BiasLoss:
        """How much more biased the candidate is in a figure that both have.

        Raises:
            InputError: the runs are of different queries.
        """
        assert self.candidate is not None
        assert self.baseline is not None
        sides = self.candidate.bias, self.baseline.bias
        mine, theirs = (None if side.figures is None else side.figures.questions.query_id for side in sides)
        if mine is None or theirs is None or not np.array_equal(mine, theirs):
            raise _refusal(figure.suite, "other relevant documents than the candidate, as their ranks say")
        return BiasLoss.of(figure, *sides, self.candidate.scale(figure))


@dataclass(frozen=True)
class Loss:
    """A loss as the test takes it.

    Attributes:
        value: macro-averaged; above 0 is worse.
        contributions: what each question adds to it; (questions,).
        questions: how many take part.
    """

    value: float
    contributions: Floats
    questions: int

    @staticmethod
    def of(questions: Questions, columns: list[Column]) -> Loss:
        """From the losses per query of the rows of a figure."""
        sums, counts = questions.totals(columns)
        contributions = (sums / (counts.sum(axis=0) * len(columns))).sum(axis=1)
        return Loss(_macro(columns), contributions, int((counts.sum(axis=1) > 0).sum()))


def intervals(questions: Questions, losses: dict[Figure, list[Column]]) -> dict[Figure, tuple[float, float]]:
    """The 95 % interval of each loss."""
    return ends(questions.resampled(losses))


def p_values(losses: list[Loss], family: int, alpha: float) -> Floats:
    """Paired randomisation of the questions of one suite, two-sided; (losses,).

    Args:
        losses: of one suite.
        family: how many tests Holm adjusts for, over all suites.
        alpha: what adjusted p is held against. With a large family the test draws more, so that p can get below
            alpha / family.
    """
    contributions = np.column_stack([loss.contributions for loss in losses])
    return statistics.randomisation_test(contributions, resamples=resamples_of(family, alpha))


def resamples_of(family: int, alpha: float) -> int:
    """Resamples with which p can get below alpha / family."""
    return max(statistics.RESAMPLES, int(np.ceil(10 * family / alpha)))


def _macro(columns: list[Column]) -> float:
    return float(np.mean([column.values.mean() for column in columns]))


def _refusal(suite: str, what: str) -> InputError:
    return InputError(f"{suite}: the baseline was measured on {what}; measure the baseline again")
