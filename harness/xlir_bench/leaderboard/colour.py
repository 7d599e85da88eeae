"""The heat maps' colours: one hue from pale to deep, so that order survives colour blindness and grey print.

A strict content security policy forbids `style` attributes, so that a colour is a class, `.h0` to `.h40`.
"""

from __future__ import annotations

from itertools import pairwise

STEPS = 41
"""How many colours a scale has: fine enough that two neighbours cannot be told apart."""

_Colour = tuple[float, float, float]

_LIGHT_STOPS = ("#f3f7fb", "#d0e1f1", "#9bc0e1", "#5b95c9", "#2768aa", "#0d3a70")
_DARK_STOPS = ("#1b2530", "#1c3a5a", "#235b90", "#3f84bf", "#86b5e0", "#d8e8f8")


def _parse(colour: str) -> _Colour:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 (black) to 1 (white), as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _parse(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def ink(background: str) -> str:
    """Black or white, whichever reads better on `background`; one of them always reaches 4.58 : 1."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, background))


def scale(*, dark: bool) -> tuple[str, ...]:
    """The colours of a scale, the lowest value first: that nearest to the page's own background."""
    stops = [_parse(stop) for stop in (_DARK_STOPS if dark else _LIGHT_STOPS)]
    segments = list(pairwise(stops))
    colours = []
    for step in range(STEPS):
        position = step / (STEPS - 1) * len(segments)
        index = min(int(position), len(segments) - 1)
        share = position - index
        mixed = (a + (b - a) * share for a, b in zip(*segments[index], strict=True))
        colours.append("#" + "".join(f"{round(255 * channel):02x}" for channel in mixed))
    return tuple(colours)


def css() -> str:
    """The rules of both scales; paper always gets the light one."""

    def rules(*, dark: bool) -> str:
        return "".join(
            f".h{step}{{background:{colour};color:{ink(colour)}}}" for step, colour in enumerate(scale(dark=dark))
        )

    return f"{rules(dark=False)}\n@media screen and (prefers-color-scheme:dark){{{rules(dark=True)}}}\n"


def step(value: float, low: float, high: float) -> int:
    """Which colour of a scale from `low` to `high` a value gets."""
    share = (value - low) / (high - low)
    return round(min(max(share, 0.0), 1.0) * (STEPS - 1))
