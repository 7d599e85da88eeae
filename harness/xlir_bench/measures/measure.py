"""What a measure is, and the table of those that exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from xlir_bench.errors import InputError, unknown_name

Floats = npt.NDArray[np.float64]

UNJUDGED: Final = np.inf
"""The rank that pads a row of `JudgedRanks`: behind everything, so that 1/rank and any cut-off count it as nothing."""


@dataclass(frozen=True)
class JudgedRanks:
    """The ranks of the relevant documents of some queries, all that the measures here depend on.

    Attributes:
        ranks: 1 is first; ascending in each row, then padded with `UNJUDGED`; padding alone for a query without a
            relevant document. Shape (queries, judged).
        gains: gain of the document at the same place, above 0; 0 where padded. Shape (queries, judged).
    """

    ranks: Floats
    gains: Floats

    @staticmethod
    def of(
        query: npt.NDArray[np.int64],
        rank: npt.NDArray[np.int64],
        gain: Floats,
        queries: npt.NDArray[np.int64] | None = None,
    ) -> JudgedRanks:
        """From one entry per relevant document, shape (judgements,) each, in any order.

        Args:
            query: any number that is equal for the documents of one query. Rows come in ascending order of it.
            rank: 1 is first.
            gain: above 0.
            queries: the number of every row, ascending; a query without an entry gets a row of padding. By default
                those that have entries.
        """
        order = np.lexsort((rank, query))
        query, rank, gain = query[order], rank[order], gain[order]
        numbers = np.unique(query) if queries is None else queries
        row = np.searchsorted(numbers, query)
        place = np.arange(len(query)) - np.searchsorted(query, query)
        shape = (len(numbers), int(place.max(initial=0)) + 1)
        ranks, gains = np.full(shape, UNJUDGED), np.zeros(shape)
        ranks[row, place], gains[row, place] = rank, gain
        return JudgedRanks(ranks, gains)

    def __len__(self) -> int:
        return len(self.ranks)


PerQuery = Callable[[JudgedRanks], Floats]
PerQueryAtCutoff = Callable[[JudgedRanks, int], Floats]


@dataclass(frozen=True)
class Definition:
    """One line of the table of measures.

    Attributes:
        name: without the cut-off.
        whole: the measure over the full ranking, or None where it needs a cut-off.
        at: the measure at a cut-off, or None where it takes none.
        higher_is_better: the direction of improvement.
        bounded: whether values lie in [0, 1].
        summary: one line for a person.
    """

    name: str
    whole: PerQuery | None
    at: PerQueryAtCutoff | None
    higher_is_better: bool
    bounded: bool
    summary: str


_DEFINITIONS: dict[str, Definition] = {}


def define(definition: Definition) -> None:
    """Add a line to the table. Each file of measures does so for its own."""
    _DEFINITIONS[definition.name] = definition


def known() -> dict[str, Definition]:
    """Every measure that can be named, by its name without the cut-off."""
    from xlir_bench.measures import bias, effectiveness  # noqa: F401  (their definitions enter the table)

    return dict(_DEFINITIONS)


@dataclass(frozen=True)
class Measure:
    """A measure as a value, e.g. nDCG@10.

    Attributes:
        definition: what is computed.
        cutoff: how many documents of the ranking count; None is all of them.
    """

    definition: Definition
    cutoff: int | None

    def __str__(self) -> str:
        return self.definition.name + (f"@{self.cutoff}" if self.cutoff is not None else "")

    def __call__(self, judged: JudgedRanks) -> Floats:
        """The value for each query, shape (queries,); NaN where the measure is not defined for it."""
        if self.cutoff is not None:
            assert self.definition.at is not None, "parse() lets no cut-off pass that the measure does not take"
            return self.definition.at(judged, self.cutoff)
        assert self.definition.whole is not None, "parse() lets no measure pass without the cut-off that it needs"
        return self.definition.whole(judged)


def parse(name: str) -> Measure:
    """The measure of a name as ir_measures writes it: `AP`, `nDCG@10`, `RR@10`, `R@100`, `P@1`, `Success@5`.

    Raises:
        InputError: no such measure, a cut-off that is not a positive number, or one that is missing or out of place.
    """
    match = re.fullmatch(r"([A-Za-z_]+)(?:@(.*))?", name)
    definitions = known()
    if match is None or match[1] not in definitions:
        hint = "known: " + " ".join(_usage(definition) for definition in definitions.values())
        raise unknown_name("measure", name, definitions, hint)
    definition, cutoff = definitions[match[1]], match[2]
    if cutoff is None:
        if definition.whole is None:
            raise InputError(f"measure {name!r} needs a cut-off, e.g. {definition.name}@10")
        return Measure(definition, None)
    if definition.at is None:
        raise InputError(f"measure {name!r}: {definition.name} takes no cut-off; write {definition.name}")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", cutoff):
        raise InputError(f"measure {name!r}: the cut-off must be a whole number of at least 1")
    return Measure(definition, int(cutoff))


def _usage(definition: Definition) -> str:
    if definition.at is None:
        return definition.name
    return f"{definition.name}@k" if definition.whole is None else f"{definition.name}[@k]"
