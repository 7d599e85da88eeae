"""Charts as SVG, drawn while the site is built: no script, no network, and they print.

Altair describes them and vl-convert draws them. No text of a result is given to either: marks carry numbers, and names
and links are put in afterwards, escaped, as text of the SVG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from xlir_bench.errors import warn

INK = "currentColor"
_GRID = "#8886"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which eyes of every kind tell apart; the order keeps neighbours apart in lightness too."""

_ADDRESS_SPACE = 80 << 30
"""Of a process in which V8 can start: it reserves 64 GiB without using them."""

_FONT = "system-ui, sans-serif"
_MARK = re.compile(r'<path aria-label="#(\d+)"([^>]*?)/>')
_LABEL = re.compile(r">#(\d+)<")


@dataclass(frozen=True, slots=True)
class Point:
    """One encoder in a scatter: where it is, what it is called, the page that it links to, whether it was measured."""

    x: float
    y: float
    name: str
    link: str
    measured: bool = True


def scatter(points: Sequence[Point], x_title: str, y_title: str, *, logarithmic: bool = False) -> Markup | None:
    """Effectiveness against something else; None with fewer than two points.

    Args:
        points: named where there are at most twelve of them; all show their name to a pointer.
        x_title: of the horizontal axis.
        y_title: of the vertical axis.
        logarithmic: whether the horizontal axis is; it needs values above 0.
    """
    if len(points) < 2 or not can_draw():
        return None
    import altair as alt

    rows = [{"n": f"#{at}", "x": p.x, "y": p.y, "m": p.measured} for at, p in enumerate(points)]
    axis = alt.Axis(format="~s", tickCount=4) if logarithmic else alt.Axis(tickCount=5)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("x:Q", title=x_title, axis=axis, scale=_scale("log" if logarithmic else "linear")),
        y=alt.Y("y:Q", title=y_title, axis=alt.Axis(tickCount=6), scale=_scale("linear")),
    )
    colour = alt.Color("m:N", scale=alt.Scale(domain=[True, False], range=list(COLOURS[:2])), legend=None)
    shape = alt.Shape("m:N", scale=alt.Scale(domain=[True, False], range=["circle", "diamond"]), legend=None)
    marks = base.mark_point(filled=True, size=64, opacity=0.85).encode(
        description=alt.Description("n:N"), color=colour, shape=shape
    )
    chart: Any = marks
    if len(points) <= 12:
        chart = marks + base.mark_text(align="left", dx=9, dy=1, color=INK, fontSize=12).encode(text="n:N")
    drawn = _draw(chart.properties(width=380, height=270))
    names = {at: point.name for at, point in enumerate(points)}
    return _named(drawn, names, {at: point.link for at, point in enumerate(points)}, f"{y_title} against {x_title}")


def bars(values: Mapping[str, Sequence[float | None]], names: Sequence[str], title: str) -> Markup | None:
    """Bars by language family, a colour per encoder, the value at the end of each; None without values.

    Args:
        values: family -> a value per encoder.
        names: of the encoders, at most six.
        title: what is drawn.
    """
    least = min((value for both in values.values() for value in both if value is not None), default=0.0)
    rows = [
        {"f": family, "n": f"#{at}", "v": value, "t": f"{value:.3f}".replace("0.", ".", 1)}
        for family, both in values.items()
        for at, value in enumerate(both)
        if value is not None
    ]
    if not rows or not can_draw():
        return None
    import altair as alt

    order = [f"#{at}" for at in range(len(names))]
    position = alt.YOffset("n:N", sort=order)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("f:N", title=None, sort=list(values), scale=alt.Scale(paddingInner=0.25)),
        yOffset=position,
        x=alt.X("v:Q", title=title, axis=alt.Axis(tickCount=5), scale=alt.Scale(domainMin=min(0.0, least))),
    )
    colour = alt.Color("n:N", scale=alt.Scale(domain=order, range=list(COLOURS[: len(order)])), legend=None)
    marks = base.mark_bar(height=alt.RelativeBandSize(0.86)).encode(color=colour)
    numbers = base.mark_text(align="left", dx=4, color=INK, fontSize=11).encode(text="t:N")
    chart = (marks + numbers).properties(width=330, height=alt.Step(15))
    return _named(_draw(chart), dict(enumerate(names)), {}, f"{title} by language family")


@cache
def can_draw() -> bool:
    """Whether charts can be drawn: V8, which draws them, ends the process where it cannot reserve address space."""
    try:
        import resource
    except ImportError:  # no such limit on this system
        return True
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit in (resource.RLIM_INFINITY, -1) or limit >= _ADDRESS_SPACE:
        return True
    warn(f"no charts are drawn: that needs {_ADDRESS_SPACE >> 30} GiB of address space; raise `ulimit -v`")
    return False


def _scale(kind: str) -> Any:  # noqa: ANN401  (as `_draw`)
    """One that leaves room around its values and does not begin at 0."""
    import altair as alt

    return alt.Scale(type=kind, zero=False, nice=False, padding=18)  # type: ignore[arg-type]


def _draw(chart: Any) -> str:  # noqa: ANN401  (altair's charts share no type that says so)
    import vl_convert

    plain = {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500}
    ruled = {"gridColor": _GRID, "domainColor": _GRID, "tickColor": _GRID, "labelFont": _FONT, "titleFont": _FONT}
    config = {
        "background": "transparent",
        "view": {"stroke": None},
        "axis": {**plain, **ruled},
        "axisY": {"grid": True},
        "padding": {"left": 16, "right": 90, "top": 8, "bottom": 8},
        "text": {"font": _FONT},
    }
    specification = {**chart.to_dict(), "config": config}
    return str(vl_convert.vegalite_to_svg(specification))


def _named(svg: str, names: Mapping[int, str], links: Mapping[int, str], title: str) -> Markup:
    """Names and links in the place of numbers, and the drawing as one image with a name for those who cannot see it."""

    def mark(found: re.Match[str]) -> str:
        at = int(found[1])
        path = f"<path{found[2]}><title>{escape(names[at])}</title></path>"
        return f'<a href="{escape(links[at])}" aria-label="{escape(names[at])}">{path}</a>' if at in links else path

    drawn = re.sub(r' (?:aria-\w+|role|class|pointer-events)="[^"]*"', _kept, svg)
    drawn = _MARK.sub(mark, drawn)
    drawn = _LABEL.sub(lambda found: f">{escape(names[int(found[1])])}<", drawn)
    drawn = drawn.replace('xmlns:xlink="http://www.w3.org/1999/xlink" ', "")
    role = "group" if links else "img"
    return Markup(drawn.replace("<svg ", f'<svg role="{role}" aria-label="{escape(title)}" ', 1))


def _kept(found: re.Match[str]) -> str:
    """Of vega's own description only the numbers that stand for encoders."""
    return found[0] if re.fullmatch(r' aria-label="#\d+"', found[0]) else ""
