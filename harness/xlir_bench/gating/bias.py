"""The figures of bias of two runs of one suite, from their ranks alone: losses, intervals, tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xlir_bench.analysis import Run
from xlir_bench.analysis.bias import BiasFigures, Composed, figures_of_bias
from xlir_bench.analysis.questions import Floats, Questions, ends
from xlir_bench.errors import InputError
from xlir_bench.gating.scale import Scale
from xlir_bench.gating.verdict import EVERY, Basis, Figure, Lack
from xlir_bench.measures import statistics

_ROUNDING = 2e-6
"""Figures of bias are stored with six decimals, the last of which may be rounded otherwise on another machine."""


@dataclass
class MeasuredBias:
    """One run's figures of bias, computed from its ranks where they are asked for."""

    run: Run

    @cached_property
    def pool_shares(self) -> dict[str, float]:
        """Document language -> its share of the pool."""
        sizes = self.run.ranks.pool_sizes
        return {code: size / sum(sizes) for code, size in zip(self.run.ranks.languages, sizes, strict=True)}

    @cached_property
    def figures(self) -> BiasFigures | None:
        """What they are made of."""
        return figures_of_bias(self.run.ranks)

    @cached_property
    def _composed(self) -> dict[str, Composed]:
        return {} if self.figures is None else self.figures.composed()

    def lack(self, figure: Figure) -> Lack | None:
        """What the result lacks of a figure; None where it has all of it.

        Raises:
            InputError: the result states the figure, and it does not follow from the ranks.
        """
        stated = self._stated(figure)
        if stated is None:
            if self.run.result.bias is None:
                return Lack("setting", f"no figures of bias on {figure.suite}")
            name = f"{figure.measure} {figure.languages}".strip()
            return Lack("row" if figure.languages else "measure", f"no {name} on {figure.suite}")
        follows = self.value(figure)
        if follows is None or abs(follows - stated) > _ROUNDING * max(1.0, abs(stated)):
            nothing = "nothing: copy SUITE.leaders.parquet beside it, or"
            raise InputError(
                f"{self.run.name} on {figure.suite}: the result says {figure.measure} {stated:.6g}, but from its ranks "
                f"follows {nothing if follows is None else f'{follows:.6g};'} run the model again"
            )
        return None

    def _stated(self, figure: Figure) -> float | None:
        bias, x, y = self.run.result.bias, figure.query_language, figure.document_language
        if bias is None:
            return None
        if y == EVERY:
            return (bias.summary if x == EVERY else bias.query_languages.get(figure.measure, {})).get(
                figure.measure if x == EVERY else x
            )
        if x == EVERY:
            return bias.document_languages.get(figure.measure, {}).get(y)
        return bias.maps.get(figure.measure, {}).get(x, {}).get(y)

    def composed(self, figure: Figure) -> Composed | None:
        """The figure, where it is made of values per query."""
        if self.figures is None or (figure.query_language == EVERY and figure.document_language == EVERY):
            return self._composed.get(figure.measure)
        x, y = (None if code == EVERY else code for code in (figure.query_language, figure.document_language))
        return self.figures.cell(figure.measure, x, y)

    def value(self, figure: Figure) -> float | None:
        """The figure; None where nothing follows from the ranks that are there."""
        if self.figures is None:
            return None
        composed = self.composed(figure)
        if composed is not None:
            return composed.value
        by_language = self.figures.single.get(figure.measure, {})
        if figure.query_language != EVERY:
            return by_language.get(figure.query_language)
        return float(np.mean(list(by_language.values()))) if by_language else self.figures.plain.get(figure.measure)

    def sampled(self, figure: Figure) -> Floats | None:
        """The figure in each resample of the questions; None where it has none."""
        assert self.figures is not None
        composed = self.composed(figure)
        if composed is not None:
            return composed.sampled(self.figures.questions)
        whole = figure.measure == "epsilon_squared" and figure.query_language == EVERY
        return self.figures.effects() if whole and self.figures.effects is not None else None


@dataclass(frozen=True)
class BiasLoss:
    """How much more biased the candidate is in one figure; above 0 is worse.

    Attributes:
        value: of the loss.
        basis: what tells whether it is real.
        interval: its 95 % interval, paired; None where the figure has none.
        questions: how many a test rests on; None without a test.
    """

    value: float
    basis: Basis
    interval: tuple[float, float] | None
    questions: int | None
    _sides: tuple[Floats, Floats] | None = None
    _statistic: tuple[Composed, Scale] | None = None

    @staticmethod
    def of(figure: Figure, candidate: MeasuredBias, baseline: MeasuredBias, scale: Scale) -> BiasLoss:
        """The loss, with what the statistics can say of it."""
        mine, theirs = candidate.value(figure), baseline.value(figure)
        assert mine is not None
        assert theirs is not None
        value = float(scale.badness(mine) - scale.badness(theirs))
        samples = candidate.sampled(figure), baseline.sampled(figure)
        if samples[0] is None or samples[1] is None:
            return BiasLoss(value, "difference", None, None)
        interval = ends({figure: scale.badness(samples[0]) - scale.badness(samples[1])}).get(figure)
        one, other = candidate.composed(figure), baseline.composed(figure)
        if one is None or other is None or not _paired(one, other):
            return BiasLoss(value, "difference" if interval is None else "interval", interval, None)
        assert candidate.figures is not None
        questions = candidate.figures.questions
        sides = _contributions(questions, one), _contributions(questions, other)
        rows = np.concatenate([column.rows for part in one.parts for column in part])
        asked = len(np.unique(questions.cluster[rows]))
        return BiasLoss(value, "test", interval, asked, sides, (one, scale))

    def p(self, resamples: int) -> float:
        """Two-sided p of the paired randomisation of questions.

        Args:
            resamples: sign patterns drawn.
        """
        assert self._sides is not None
        assert self._statistic is not None
        composed, scale = self._statistic
        return statistics.exchange_test(
            *self._sides, lambda means: scale.badness(composed.combine(means)), resamples=resamples
        )


def _paired(one: Composed, other: Composed) -> bool:
    """Whether both runs have values of the same queries, so that questions can be exchanged."""
    return len(one.parts) == len(other.parts) and all(
        len(mine) == len(theirs) and all(np.array_equal(a.rows, b.rows) for a, b in zip(mine, theirs, strict=True))
        for mine, theirs in zip(one.parts, other.parts, strict=True)
    )


def _contributions(questions: Questions, composed: Composed) -> Floats:
    """What each question adds to each of the means that a figure is made of; (questions, parts)."""
    columns = []
    for part in composed.parts:
        sums, counts = questions.totals(part)
        columns.append((sums / (counts.sum(axis=0) * len(part))).sum(axis=1))
    return np.column_stack(columns)
