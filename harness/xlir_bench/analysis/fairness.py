"""Which value of each figure of bias is fair: what `gate` and pages need to say that a model is more biased."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from xlir_bench.errors import InputError

Fair = float | Literal["high", "low", "pool share"]
"""A value that a figure should have; "high" or "low" where more or less is always better; or the language's share."""

_CUTOFF = re.compile(r"@\d+$")


@dataclass(frozen=True)
class Fairness:
    """One line of the table of figures.

    Attributes:
        fair: which value is the best.
        bounded: whether values lie in [-1, 1].
        by_query: whether there is one for each query language.
        by_document: whether it is a figure of a document language, and has no mean over them.
    """

    fair: Fair
    bounded: bool = True
    by_query: bool = False
    by_document: bool = False


FIGURES: dict[str, Fairness] = {
    "rank_distance": Fairness("low", bounded=False, by_query=True),
    "AWRF": Fairness("high", by_query=True),
    "same_language_lift": Fairness(1.0, bounded=False, by_query=True),
    "PEER": Fairness("high", by_query=True),
    "PEER_nonrelevant": Fairness("high", by_query=True),
    "PEER_pooled": Fairness("high", by_query=True),
    "epsilon_squared": Fairness("low", by_query=True),
    "MRC": Fairness("high", by_query=True),
    "limit_to_one_target": Fairness("high", by_query=True, by_document=True),
    "limit_to_one_target.same": Fairness("high"),
    "limit_to_one_target.other": Fairness("high"),
    "limit_to_one_target.gap": Fairness(0.0),
    "remove_one_target": Fairness(0.0, by_query=True, by_document=True),
    "remove_one_target.same": Fairness(0.0),
    "remove_one_target.other": Fairness(0.0),
    "remove_one_target.gap": Fairness(0.0),
    "language_advantage": Fairness(0.0, by_query=True, by_document=True),
    "language_advantage.same": Fairness(0.0),
    "language_advantage.other": Fairness(0.0),
    "language_advantage.gap": Fairness(0.0),
    "language_advantage.spread": Fairness("low"),
    "language_share": Fairness("pool share", by_query=True, by_document=True),
    "exposure": Fairness("pool share", by_query=True, by_document=True),
    "hubness": Fairness(0.0, bounded=False),
}
"""Figure of a result's `bias`, without its cut-off -> which value is fair; docs/measures.md defines them."""


def without_cutoff(name: str) -> str:
    """The name of a figure without `@` and a number."""
    return _CUTOFF.sub("", name)


def known_figure(name: str) -> str:
    """The name, with or without its cut-off, if it is a figure's.

    Raises:
        InputError: it is not; the message has the nearest names, or all.
    """
    if without_cutoff(name) in FIGURES:
        return name
    near = get_close_matches(without_cutoff(name), FIGURES, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(FIGURES)}"
    raise InputError(f"unknown figure of bias {name!r}: {meant}")
