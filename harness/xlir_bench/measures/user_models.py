"""Measures of the C/W/L framework (Moffat, Thomas & Scholer 2013; Azzopardi, Thomas & Moffat 2019).

A reader goes on from place i to the next with chance C(i); the weight of a place is the share of the places read that
it is, and a measure is the mean gain of a place read. As in the package cwl_eval, which ir_measures takes them from,
the first 1,000 places count, and a ranking that is shorter is followed by documents without gain. Gains are cut to
`min_rel` and `max_rel` and scaled to [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from xlir_bench.measures.effectiveness import persistence_refused
from xlir_bench.measures.judged_ranks import Floats, JudgedRanks
from xlir_bench.measures.measure import Definition

_PLACES = 1000
_ROWS = 4096
"""Queries at once: 32 MB for an array of them."""

_PLACE = np.arange(1.0, _PLACES + 1)

Continues = Callable[[Floats], Floats]
"""Gains of the first places, (queries, places), -> chance to go on from each to the next."""


def _measured(judged: JudgedRanks, scale: tuple[int, int], goes_on: Continues) -> Floats:
    least, most = scale
    values = np.zeros(len(judged))
    for begin in range(0, len(judged), _ROWS):
        rows = slice(begin, begin + _ROWS)
        ranks, gains = judged.ranks[rows], judged.gains[rows]
        gained = np.zeros((len(ranks), _PLACES))
        row, column = np.nonzero((ranks <= _PLACES) & (gains > 0))
        scaled = (np.clip(gains[row, column], least, most) - least) / (most - least)
        gained[row, ranks[row, column].astype(np.int64) - 1] = scaled
        going = np.broadcast_to(goes_on(gained), gained.shape)[:, :-1]
        read = np.cumprod(np.column_stack([np.ones(len(ranks)), going]), axis=1)
        values[rows] = (read * gained).sum(axis=1) / read.sum(axis=1)
    return values


def scaled_dcg(judged: JudgedRanks, cutoff: int, max_rel: int, min_rel: int = 0, dcg: str = "log2") -> Floats:
    """Discounted cumulative gain over that of a ranking with the highest gain at every place."""
    assert dcg == "log2"
    inside = cutoff > _PLACE
    going = np.where(inside, np.log2(_PLACE + 1) / np.log2(_PLACE + 2), 0.0)
    return _measured(judged, (min_rel, max_rel), lambda _: going)


def bejewelled(judged: JudgedRanks, cutoff: int, max_rel: int, T: float = 1.0, min_rel: int = 0) -> Floats:  # noqa: N803
    """A reader stops at the cut-off, or with a gain of T (Zhang et al. 2017)."""
    return _measured(
        judged, (min_rel, max_rel), lambda gains: np.where((cutoff > _PLACE) & (np.cumsum(gains, axis=1) < T), 1.0, 0.0)
    )


def insq(judged: JudgedRanks, max_rel: int, T: float = 1.0, min_rel: int = 0) -> Floats:  # noqa: N803
    """A reader becomes more patient with every place (Moffat, Scholer & Thomas 2012)."""
    return _measured(judged, (min_rel, max_rel), lambda _: _patience(2.0 * T))


def inst(judged: JudgedRanks, max_rel: int, T: float = 1.0, min_rel: int = 0) -> Floats:  # noqa: N803
    """INSQ of a reader who is content with a gain of T (Moffat, Bailey, Scholer & Thomas 2015)."""
    return _measured(judged, (min_rel, max_rel), lambda gains: _patience(2.0 * T - np.cumsum(gains, axis=1)))


def nerr8(judged: JudgedRanks, cutoff: int, max_rel: int, min_rel: int = 0) -> Floats:
    """A reader stops with the chance of the gain, or at the cut-off (Azzopardi, Mackenzie & Moffat 2021, eq. 8)."""
    return _measured(judged, (min_rel, max_rel), lambda gains: np.where(cutoff > _PLACE, 1.0 - gains, 0.0))


def nerr9(judged: JudgedRanks, cutoff: int, max_rel: int, min_rel: int = 0) -> Floats:
    """Likewise with a discount of 1/place (eq. 9)."""
    discount = np.where(cutoff > _PLACE, _PLACE / (_PLACE + 1.0), 0.0)
    return _measured(judged, (min_rel, max_rel), lambda gains: discount * (1.0 - gains))


def nerr10(judged: JudgedRanks, max_rel: int, p: float = 0.9, min_rel: int = 0) -> Floats:
    """Likewise with a constant patience p and no cut-off (eq. 10)."""
    return _measured(judged, (min_rel, max_rel), lambda gains: p * (1.0 - gains))


def nerr11(judged: JudgedRanks, max_rel: int, T: float = 1.0, min_rel: int = 0) -> Floats:  # noqa: N803
    """Likewise with the patience of INSQ (eq. 11)."""
    return _measured(judged, (min_rel, max_rel), lambda gains: _patience(2.0 * T) * (1.0 - gains))


def _patience(goal: float | Floats) -> Floats:
    return ((_PLACE + goal - 1.0) / (_PLACE + goal)) ** 2.0


def _refused(parameters: Mapping[str, Any]) -> str | None:
    least, most = parameters.get("min_rel", 0), parameters["max_rel"]
    if not 0 <= least < most:
        return "min_rel is at least 0 and less than max_rel"
    if not 0 < parameters.get("T", 1.0) < np.inf:
        return "T is above 0"
    if parameters.get("cutoff", 1) > _PLACES:
        return f"the first {_PLACES:,} places count"
    return persistence_refused(parameters)


DEFINITIONS = tuple(
    Definition(name, compute, summary, refuses=_refused)
    for name, compute, summary in (
        ("SDCG", scaled_dcg, "scaled discounted cumulative gain"),
        ("BPM", bejewelled, "Bejeweled player model"),
        ("INSQ", insq, "gain of a reader who grows patient"),
        ("INST", inst, "gain of a reader with a goal"),
        ("NERR8", nerr8, "nearly expected reciprocal rank, equation 8"),
        ("NERR9", nerr9, "nearly expected reciprocal rank, equation 9"),
        ("NERR10", nerr10, "nearly expected reciprocal rank, equation 10"),
        ("NERR11", nerr11, "nearly expected reciprocal rank, equation 11"),
    )
)
