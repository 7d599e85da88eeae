"""The trade-off of a sweep as a figure: what is won in one setting against what is lost in another.

Four panels: precision@k and AP of the monolingual setting, upwards, against AP of the cross-lingual setting and against
the rank distance, whose axis runs from large to small so that better is right everywhere. A point is a setting, with
its 95 % intervals over seeds; points that differ in alpha alone are joined in its order, each with its alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlir_bench.files import replacing

_SIDE = {"width": 300, "height": 240}
_AXIS = {"tickCount": 5, "labelFlush": False, "labelOverlap": "greedy"}
_ACROSS = (
    ("cross-lingual AP", "AP, cross-lingual"),
    ("multilingual rank_distance", "rank distance (smaller is better)"),
)


def draw(summary: Sequence[dict[str, Any]], precision: str, path: Path) -> Path:
    """Write `path`.svg and `path`.png.

    Args:
        summary: from `sweep.summarise`.
        precision: the name of precision@k, e.g. "P@1".
        path: without ending.

    Returns:
        The SVG's path.
    """
    import altair as alt
    import vl_convert

    upwards = ((f"monolingual {precision}", f"{precision}, monolingual"), ("monolingual AP", "AP, monolingual"))
    panels = [[_panel(summary, x, y) for x in _ACROSS] for y in upwards]
    drawn = [alt.hconcat(*(panel for panel in row if panel is not None)) for row in panels if any(row)]
    chart = alt.vconcat(*drawn).to_dict()
    chart["config"] = {"background": "white", "axis": {"labelFontSize": 11, "titleFontSize": 12, "grid": True}}
    chart["config"]["legend"] = {"orient": "bottom", "columns": 3, "labelFontSize": 11, "labelLimit": 0}
    svg, png = path.with_suffix(".svg"), path.with_suffix(".png")
    with replacing(svg) as temporary:
        temporary.write_text(vl_convert.vegalite_to_svg(chart), encoding="utf-8")
    with replacing(png) as temporary:
        temporary.write_bytes(vl_convert.vegalite_to_png(chart, scale=2))
    return svg


def _panel(summary: Sequence[dict[str, Any]], x: tuple[str, str], y: tuple[str, str]) -> Any:  # noqa: ANN401  (altair)
    """One panel; None where no setting has both measures."""
    import altair as alt

    rows = [
        {
            "line": _line(row["varied"]),
            "alpha": row["varied"].get("alpha"),
            **_ends("x", row["measures"][x[0]]),
            **_ends("y", row["measures"][y[0]]),
        }
        for row in summary
        if x[0] in row["measures"] and y[0] in row["measures"]
    ]
    if not rows:
        return None
    reverse = x[0].endswith("rank_distance")
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("x:Q", title=x[1], scale=alt.Scale(zero=False, padding=20, reverse=reverse), axis=_AXIS),
        y=alt.Y("y:Q", title=y[1], scale=alt.Scale(zero=False, padding=20), axis=_AXIS),
        color=alt.Color("line:N", title=None, scale=alt.Scale(scheme="dark2")),
    )
    # Field by field: an encoding channel that is not named keeps what the base says.
    across = base.mark_rule(opacity=0.5).encode(x="x_low:Q", x2="x_high:Q")
    along = base.mark_rule(opacity=0.5).encode(y="y_low:Q", y2="y_high:Q")
    lines = base.transform_filter("isValid(datum.alpha)").mark_line(opacity=0.6).encode(order="alpha:Q")
    points = base.mark_point(filled=True, size=55, opacity=1)
    # Above its interval a value is clear of the curve; what the colours mean stands below the panels.
    values = (
        base.transform_filter("isValid(datum.alpha)")
        .mark_text(dy=-7, fontSize=10)
        .encode(y="y_high:Q", text=alt.Text("alpha:Q", format="~g"))
    )
    return alt.layer(lines, across, along, points, values).properties(**_SIDE)


def _line(varied: dict[str, Any]) -> str:
    """What joins points: all that varies but alpha; a setting without alpha stands alone."""
    others = [f"{field} {value}" for field, value in varied.items() if field != "alpha"]
    return ", ".join(["alpha (above its points)", *others] if "alpha" in varied else others)


def _ends(axis: str, figure: dict[str, float | None]) -> dict[str, float | None]:
    mean = figure["mean"]
    low, high = (mean if figure[end] is None else figure[end] for end in ("low", "high"))
    if mean is not None and low is not None and high is not None:
        # Student's interval knows no bounds; what is measured has them.
        low, high = max(low, 0.0), min(high, 1.0) if mean <= 1 else high
    return {axis: mean, f"{axis}_low": low, f"{axis}_high": high}
