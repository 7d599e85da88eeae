"""In which direction a figure gets worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from xlir_bench.analysis.fairness import FIGURES, Fair, without_cutoff
from xlir_bench.analysis.questions import Floats
from xlir_bench.gating.verdict import BIAS, Figure
from xlir_bench.measures import parse

Number = TypeVar("Number", float, Floats)


@dataclass(frozen=True)
class Scale:
    """What a figure's values mean.

    Attributes:
        best: "high" or "low" where more or less is always better, else the value that the figure should have.
        bounded: whether no value is above 1, or below -1.
    """

    best: Fair
    bounded: bool

    @staticmethod
    def of(figure: Figure, pool_shares: dict[str, float]) -> Scale:
        """Of a figure.

        Args:
            figure: which.
            pool_shares: document language -> its share of the pool, which its exposure should have.
        """
        if figure.setting != BIAS:
            definition = parse(figure.measure).definition
            return Scale("high" if definition.higher_is_better else "low", definition.bounded)
        fairness = FIGURES[without_cutoff(figure.measure)]
        share = pool_shares.get(figure.document_language, 0.0)
        return Scale(share if fairness.fair == "pool share" else fairness.fair, fairness.bounded)

    def badness(self, value: Number) -> Number:
        """Grows as the figure gets worse."""
        if self.best == "high":
            return -value
        return value if isinstance(self.best, str) else np.abs(value - self.best)

    def unit(self, baseline: float) -> float:
        """What a budget in % is a share of: the baseline's figure, or its distance from the value it should have."""
        return baseline if isinstance(self.best, str) else baseline - self.best

    def passes(self, value: float, floor: float) -> str | None:
        """How a value is worse than a floor, in words; None where it is not, to the last digits of a sum."""
        if self.badness(value) - self.badness(floor) <= EQUAL * max(1.0, abs(floor)):
            return None
        if isinstance(self.best, str):
            return "below" if self.best == "high" else "above"
        return f"further from {self.best:g} than"


EQUAL = 1e-12
"""Sums of the same numbers in another order may differ in their last digits."""
