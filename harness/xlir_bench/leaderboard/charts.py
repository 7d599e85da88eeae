"""Charts as SVG, drawn while the site is built: no script, no network, and they print.

Altair describes them and vl-convert draws them. No text of a result is given to either: marks carry numbers, and names
and links are put in afterwards, escaped, as text of the SVG.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from xlir_bench.errors import printable, warn
from xlir_bench.leaderboard.labels import HEIGHT, LABEL_SIZE, WIDTH, Area, Point, text_width

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
class Figure:
    """A chart as it is drawn for a page, and for a file.

    Attributes:
        embedded: SVG in the colours and with the links of the page around it.
        file: a whole SVG file, with its names and its key in it.
    """

    embedded: Markup
    file: str


def scatter(points: Sequence[Point], x_title: str, y_title: str, *, logarithmic: bool = False) -> Figure | None:
    """Effectiveness against something else; None with fewer than two points.

    Args:
        points: named where there are at most twelve of them; all show their name to a pointer.
        x_title: of the horizontal axis.
        y_title: of the vertical axis.
        logarithmic: whether the horizontal axis is; it needs values above 0.
    """
    if len(points) < 2 or not can_draw():
        return None
    titles = (x_title, y_title)
    names, links = dict(enumerate(p.name for p in points)), dict(enumerate(p.link for p in points))
    drawn = _draw(scatter_chart(points, titles, logarithmic=logarithmic, named=False))
    embedded = _named(drawn, names, links, f"{y_title} against {x_title}")
    return Figure(embedded, as_file(scatter_chart(points, titles, logarithmic=logarithmic)))


def scatter_chart(
    points: Sequence[Point], titles: tuple[str, str], *, logarithmic: bool = False, named: bool = True
) -> Any:  # noqa: ANN401  (as `_draw`)
    """The chart of `scatter`.

    Args:
        points: see `scatter`.
        titles: of the horizontal and of the vertical axis.
        logarithmic: see `scatter`.
        named: write the names, and a key where some points are imported; else numbers stand for names.
    """
    import altair as alt

    called = [printable(p.name, 60) for p in points] if named else [f"#{at}" for at in range(len(points))]
    rows = [
        {"n": name, "x": p.x, "y": p.y, "m": "measured" if p.measured else "imported"}
        for name, p in zip(called, points, strict=True)
    ]
    area = Area.of(points, logarithmic=logarithmic)
    axis = alt.Axis(format="~s", tickCount=4) if logarithmic else alt.Axis(tickCount=5)
    x_scale = alt.Scale(type="log" if logarithmic else "linear", domain=list(area.x), nice=False)
    y_scale = alt.Scale(domain=list(area.y), nice=False)
    key = alt.Legend(title=None) if named and len({p.measured for p in points}) > 1 else None
    kinds = ["measured", "imported"]
    marks = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("x:Q", title=titles[0], axis=axis, scale=x_scale),
        y=alt.Y("y:Q", title=titles[1], axis=alt.Axis(tickCount=6), scale=y_scale),
        color=alt.Color("m:N", scale=alt.Scale(domain=kinds, range=list(COLOURS[:2])), legend=key),
        shape=alt.Shape("m:N", scale=alt.Scale(domain=kinds, range=["circle", "diamond"]), legend=key),
        description=alt.Description("n:N"),
    )
    layers: list[Any] = [marks.mark_point(filled=True, size=64, opacity=0.85)]
    if len(points) <= 12:
        labels = area.labels(points)
        lines = [
            {"x": point.x, "y": point.y, "x2": label.x, "y2": label.y}
            for point, label in zip(points, labels, strict=True)
            if label.away
        ]
        if lines:
            ends = {"x": alt.X("x:Q", scale=x_scale), "y": alt.Y("y:Q", scale=y_scale), "x2": "x2", "y2": "y2"}
            rules = alt.Chart(alt.InlineData(values=lines)).mark_rule(strokeWidth=0.7, color="#888")
            layers.insert(0, rules.encode(**ends))
        for side in dict.fromkeys(label.align for label in labels):
            of_side = [
                {"n": called[at], "x": label.x, "y": label.y} for at, label in enumerate(labels) if label.align == side
            ]
            layers.append(
                alt.Chart(alt.InlineData(values=of_side))
                .mark_text(align=side, baseline="middle", fontSize=LABEL_SIZE)
                .encode(x=alt.X("x:Q", scale=x_scale), y=alt.Y("y:Q", scale=y_scale), text="n:N")
            )
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def map_chart(cells: Sequence[Mapping[str, Any]], measure: str, title: str) -> Any:  # noqa: ANN401  (as `_draw`)
    """A square per pair of languages; its colour and number are the score.

    Args:
        cells: each with `query_language`, `document_language` and `value`; all further fields are for a pointer.
        measure: what the values are.
        title: of the chart.
    """
    import altair as alt

    values = [float(cell["value"]) for cell in cells]
    tooltip = [
        alt.Tooltip("value:Q", format=".4f") if name == "value" else f"{name}:{'Q' if name in _COUNTS else 'N'}"
        for name in cells[0]
    ]
    base = alt.Chart(alt.InlineData(values=[dict(cell) for cell in cells]), title=title).encode(
        x=alt.X("document_language:N", title="documents in", axis=alt.Axis(orient="top", labelAngle=0, grid=False)),
        y=alt.Y("query_language:N", title="queries in", axis=alt.Axis(grid=False)),
        tooltip=tooltip,
    )
    # White is read on the darker two fifths only.
    dark = min(values) + 0.6 * (max(values) - min(values))
    tiles = base.mark_rect().encode(color=alt.Color("value:Q", title=measure, scale=alt.Scale(scheme="blues")))
    ink = alt.when(alt.datum.value > dark).then(alt.value("white")).otherwise(alt.value("black"))
    form = ".2f" if max(map(abs, values)) < 10 else ",.0f"
    numbers = base.mark_text(fontSize=11).encode(text=alt.Text("value:Q", format=form), color=ink)
    step = language_step(cell["document_language"] for cell in cells)
    return (tiles + numbers).properties(width=alt.Step(step), height=alt.Step(26))


def language_step(codes: Iterable[str]) -> float:
    """Pixels of a column that is headed by a code, such as `zh-Hant`."""
    return max([38.0, *(text_width(code) + 10 for code in codes)])


_COUNTS = ("queries", "documents")


def bars(values: Mapping[str, Sequence[float | None]], names: Sequence[str], title: str) -> Figure | None:
    """Bars by language family, a colour per encoder, the value at the end of each; None without values.

    Args:
        values: family -> a value per encoder.
        names: of the encoders, at most six.
        title: what is drawn.
    """
    if not any(value is not None for both in values.values() for value in both) or not can_draw():
        return None
    numbers = [f"#{at}" for at in range(len(names))]
    embedded = _named(
        _draw(_bars(values, numbers, title, key=False)), dict(enumerate(names)), {}, f"{title} by language family"
    )
    called = [printable(name, 60) for name in names]
    distinct = [name if called.count(name) == 1 else f"{name} ({at + 1})" for at, name in enumerate(called)]
    return Figure(embedded, as_file(_bars(values, distinct, title, key=True)))


def _bars(values: Mapping[str, Sequence[float | None]], names: Sequence[str], title: str, *, key: bool) -> Any:  # noqa: ANN401  (as `_draw`)
    import altair as alt

    least = min((value for both in values.values() for value in both if value is not None), default=0.0)
    rows = [
        {"f": family, "n": name, "v": value, "t": f"{value:.3f}".replace("0.", ".", 1)}
        for family, both in values.items()
        for name, value in zip(names, both, strict=True)
        if value is not None
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("f:N", title=None, sort=list(values), scale=alt.Scale(paddingInner=0.25)),
        yOffset=alt.YOffset("n:N", sort=list(names)),
        x=alt.X("v:Q", title=title, axis=alt.Axis(tickCount=5), scale=alt.Scale(domainMin=min(0.0, least))),
    )
    scale = alt.Scale(domain=list(names), range=list(COLOURS[: len(names)]))
    legend = alt.Legend(title=None, orient="bottom", direction="vertical") if key else None
    marks = base.mark_bar(height=alt.RelativeBandSize(0.86)).encode(color=alt.Color("n:N", scale=scale, legend=legend))
    numbers = base.mark_text(align="left", dx=4, fontSize=11).encode(text="t:N")
    return (marks + numbers).properties(width=330, height=alt.Step(15))


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


def as_file(chart: Any) -> str:  # noqa: ANN401  (as `_draw`)
    """A chart of Altair as a whole SVG file: dark on white, with nothing that a page around it would give."""
    return _draw(chart, _Colours("#1a1a1a", "#d0d0d0", "white", "sans-serif"))


@dataclass(frozen=True, slots=True)
class _Colours:
    ink: str = INK
    grid: str = _GRID
    background: str = "transparent"
    font: str = _FONT


def _draw(chart: Any, colours: _Colours | None = None) -> str:  # noqa: ANN401  (altair's charts share no type)
    import vl_convert

    embedded = colours is None
    colours = colours or _Colours()
    ink, font = colours.ink, colours.font
    plain = {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500}
    ruled = {"gridColor": colours.grid, "domainColor": colours.grid, "tickColor": colours.grid}
    fonts = {"labelFont": font, "titleFont": font}
    config = {
        "background": colours.background,
        "view": {"stroke": None},
        "axis": {**plain, **ruled, **fonts},
        "axisY": {"grid": True},
        "legend": {**plain, **fonts, "labelLimit": 400},
        "header": {**plain, **fonts},
        "title": {"color": ink, "font": font, "fontSize": 13},
        # A page's drawing holds numbers in the place of names, which take more room.
        "padding": {"left": 16, "right": 90, "top": 8, "bottom": 8} if embedded else 12,
        "text": {"font": font, "color": ink},
    }
    return str(vl_convert.vegalite_to_svg({**chart.to_dict(validate=False), "config": config}))


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
