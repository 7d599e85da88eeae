"""Where the names of a scatter's points go, so that no name lies on another or on a point."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

LABEL_SIZE = 12
"""Of the font, in pixels."""

WIDTH, HEIGHT = 380, 270
"""Of the plane, in pixels."""

_MARGIN = 18
_RADIUS = 5.0
_RIGHT = 84
"""Pixels that a name may reach beyond the right edge: what a page's drawing has there."""

Align = Literal["left", "right", "center"]


@dataclass(frozen=True, slots=True)
class Point:
    """One encoder in a scatter: where it is, what it is called, the page that it links to, whether it was measured."""

    x: float
    y: float
    name: str
    link: str = ""
    measured: bool = True


@dataclass(frozen=True, slots=True)
class Label:
    """Where a name is written, in the units of the axes, which of its sides is there, and whether that is away."""

    x: float
    y: float
    align: Align
    away: bool


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: _Box) -> float:
        """Pixels that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A place that a name may have: what it covers, and the pixel of the side that is there."""

    box: _Box
    align: Align
    x: float
    y: float
    away: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """The plane that points are drawn on.

    Attributes:
        x, y: ends of the axes.
        logarithmic: whether the horizontal axis is.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    logarithmic: bool

    @staticmethod
    def of(points: Sequence[Point], *, logarithmic: bool) -> Area:
        """One that leaves room around its points and does not begin at 0."""
        x = _around([math.log(p.x) if logarithmic else p.x for p in points], WIDTH)
        y = _around([p.y for p in points], HEIGHT)
        return Area((math.exp(x[0]), math.exp(x[1])) if logarithmic else x, y, logarithmic)

    def labels(self, points: Sequence[Point]) -> list[Label]:
        """A place for each name: of those around its point the one that covers least, the right side first."""
        centres = [self._pixels(point) for point in points]
        taken = [_Box(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in centres]
        found = []
        for point, (x, y) in zip(points, centres, strict=True):
            candidates = list(_candidates(x, y, text_width(point.name)))
            best = min(candidates, key=lambda one: _outside(one.box) + sum(one.box.shared(box) for box in taken))
            taken.append(best.box)
            found.append(self._label(best))
        return found

    def _ends(self) -> tuple[float, float]:
        return (math.log(self.x[0]), math.log(self.x[1])) if self.logarithmic else self.x

    def _pixels(self, point: Point) -> tuple[float, float]:
        low, high = self._ends()
        x = math.log(point.x) if self.logarithmic else point.x
        across, up = (x - low) / (high - low), (point.y - self.y[0]) / (self.y[1] - self.y[0])
        return across * WIDTH, HEIGHT * (1 - up)

    def _label(self, place: _Candidate) -> Label:
        low, high = self._ends()
        x = low + (high - low) * place.x / WIDTH
        y = self.y[0] + (self.y[1] - self.y[0]) * (1 - place.y / HEIGHT)
        return Label(math.exp(x) if self.logarithmic else x, y, place.align, place.away)


def _around(values: Sequence[float], pixels: int) -> tuple[float, float]:
    """Ends of an axis with a margin on both sides of the values."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - max(abs(low) * 0.05, 1e-3), high + max(abs(high) * 0.05, 1e-3)
    margin = (high - low) / (pixels - 2 * _MARGIN) * _MARGIN
    return low - margin, high + margin


def _candidates(x: float, y: float, width: float) -> Iterator[_Candidate]:
    """Beside the point, above and below it, and further away."""
    half, gap = LABEL_SIZE / 2 + 1, _RADIUS + 4
    for away in (0.0, half, 2 * half + 2, 3 * half + 3, 5 * half):
        for shift in (0.0,) if not away else (-away, away):
            at = y + shift
            yield _Candidate(_Box(x + gap, at - half, x + gap + width, at + half), "left", x + gap, at, away > 0)
            yield _Candidate(_Box(x - gap - width, at - half, x - gap, at + half), "right", x - gap, at, away > 0)
            if abs(shift) >= _RADIUS + half:
                yield _Candidate(
                    _Box(x - width / 2, at - half, x + width / 2, at + half), "center", x, at, away > 2 * half
                )


def _outside(box: _Box) -> float:
    """Pixels of a box that lie where nothing is drawn; they weigh more than those that are covered."""
    left, right = max(0.0, -box.left), max(0.0, box.right - WIDTH - _RIGHT)
    above, below = max(0.0, -box.top), max(0.0, box.bottom - HEIGHT)
    return 10 * ((left + right) * (box.bottom - box.top) + (above + below) * (box.right - box.left))


def text_width(text: str) -> float:
    """About how wide a text is: letters of East Asia take a square, those that combine nothing."""
    wide = {"W": 1.0, "F": 1.0}
    return LABEL_SIZE * sum(
        0.0 if unicodedata.combining(sign) else wide.get(unicodedata.east_asian_width(sign), 0.56) for sign in text
    )
