"""What a measure is: a value with a definition and parameters, which its printed form identifies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

import numpy as np

from xlir_bench.measures.judged_ranks import UNJUDGED, Floats, JudgedRanks

__all__ = ["UNJUDGED", "Definition", "Floats", "JudgedRanks", "Measure", "Needs", "definitions"]

Needs = Literal["relevant", "sizes", "judged"]
"""What a measure is computed from: ranks of relevant documents; also the sizes of rankings; also the ranks of documents
that are judged not relevant.
"""

Parameters = Mapping[str, Any]

REL: Final = "rel"
JUDGED_ONLY: Final = "judged_only"


@dataclass(frozen=True)
class Definition:
    """One line of the table of measures.

    Attributes:
        name: as ir_measures writes it, without parameters; or our own name.
        compute: the value of each query from its ranks and from the parameters of the measure by name, without `rel`
            and `judged_only`: what they leave out is left out before. NaN where the measure is not defined.
        summary: one line for a person.
        higher_is_better: the direction of improvement.
        bounded: whether values lie in [0, 1].
        needs: what it is computed from.
        refuses: why some parameters cannot be had, as the end of a sentence; None where they can.
        compares_judged: whether documents without a judgement count for nothing.
        unusable: why it is not defined for some gains, see `Gains`; None where it is.
        not_a_mean: why it is no figure of a result, which is a mean over queries; the provider for ir_measures has it
            nevertheless.
    """

    name: str
    compute: Callable[..., Floats]
    summary: str
    higher_is_better: bool = True
    bounded: bool = True
    needs: Needs = "relevant"
    compares_judged: bool = False
    refuses: Callable[[Parameters], str | None] = field(default=lambda _: None)
    unusable: Callable[[Gains, Parameters], str | None] = field(default=lambda _, __: None)
    not_a_mean: str | None = None


@dataclass(frozen=True)
class Gains:
    """The gains of a collection's judgements.

    Attributes:
        distinct: each gain that occurs, ascending; (gains,).
    """

    distinct: Floats

    @staticmethod
    def of(gains: Floats) -> Gains:
        """Of the gains of all judgements; (judgements,)."""
        return Gains(np.unique(gains).astype(np.float64))

    @property
    def greatest(self) -> float:
        """The greatest gain; 0 where there is no judgement."""
        return float(self.distinct.max(initial=0.0))

    @property
    def all_relevant(self) -> bool:
        """Whether no document is judged not relevant."""
        return not (self.distinct <= 0).any()


@dataclass(frozen=True)
class Measure:
    """A measure as a value, e.g. `nDCG(dcg='exp-log2')@10`.

    Attributes:
        name: the canonical form of ir_measures: its identity, its key in files and its label on pages.
        definition: what is computed.
        parameters: those that are not the default, by name.
    """

    name: str
    definition: Definition = field(compare=False)
    parameters: Parameters = field(compare=False)

    def __str__(self) -> str:
        return self.name

    @property
    def needs(self) -> Needs:
        """What it is computed from."""
        return "judged" if self.parameters.get(JUDGED_ONLY) else self.definition.needs

    def __call__(self, judged: JudgedRanks) -> Floats:
        """The value for each query, shape (queries,); NaN where the measure is not defined for it.

        Raises:
            ValueError: the measure needs the ranks of documents that are judged not relevant, and they are unknown.
        """
        if self.needs == "judged" and judged.other_ranks is None:
            raise ValueError(f"{self.name} needs the ranks of documents that are judged not relevant")
        others = {name: value for name, value in self.parameters.items() if name not in {REL, JUDGED_ONLY}}
        if self.parameters.get(REL, 1) > 1:
            judged = judged.relevant_from(self.parameters[REL])
        if self.parameters.get(JUDGED_ONLY):
            judged = judged.among_judged()
        return self.definition.compute(judged, **others)

    def unusable(self, gains: Gains) -> str | None:
        """Why the measure says nothing of data with these gains, as the end of a sentence; None where it does."""
        rel = self.parameters.get(REL, 1)
        if rel > 1 and gains.greatest < rel:
            return f"no document has a gain of {rel}; the greatest is {gains.greatest:g}"
        compares = self.definition.compares_judged or self.parameters.get(JUDGED_ONLY)
        if compares and gains.all_relevant and rel == 1:
            return "no document is judged not relevant, and it compares relevant documents with these alone"
        return self.definition.unusable(gains, self.parameters)


@cache
def definitions() -> dict[str, Definition]:
    """Every measure that is computed, by its name without parameters."""
    from xlir_bench.measures import bias, effectiveness, judged, user_models

    tables = (effectiveness.DEFINITIONS, judged.DEFINITIONS, user_models.DEFINITIONS, bias.DEFINITIONS)
    return {definition.name: definition for table in tables for definition in table}
