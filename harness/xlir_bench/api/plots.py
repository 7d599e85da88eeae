"""Charts of a result, by Altair: they are shown in a notebook, and saved by their own `save`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlir_bench.errors import InputError, unknown_name
from xlir_bench.languages import LANGUAGES

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from xlir_bench.api.result import Result

KINDS = ("map", "languages", "bias")


def plot(result: Result, kind: str) -> alt.Chart | alt.LayerChart:
    """See `Result.plot`."""
    drawn = {"map": _map, "languages": _languages, "bias": _bias}.get(kind)
    if drawn is None:
        raise unknown_name("plot", kind, KINDS, f"known: {', '.join(KINDS)}")
    return drawn(result)


def _map(result: Result) -> alt.Chart | alt.LayerChart:
    """A square per pair of languages; its colour and number are the primary measure."""
    import altair as alt

    scores = _primary(result, ("monolingual", "cross-lingual"))
    if scores.empty:
        raise InputError(f"{result!r} has no monolingual and no cross-lingual row to draw a map of")
    measure = str(scores["measure"].iloc[0])
    base = alt.Chart(scores, title=f"{result.model} on {result.suite}: {measure}").encode(
        x=alt.X("document_language:N", title="documents in", axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y("query_language:N", title="queries in"),
        tooltip=["setting", "query", "document", alt.Tooltip("value:Q", format=".4f"), "queries", "documents"],
    )
    middle = float(scores["value"].min() + scores["value"].max()) / 2
    tiles = base.mark_rect().encode(color=alt.Color("value:Q", title=measure, scale=alt.Scale(scheme="blues")))
    ink = alt.when(alt.datum.value > middle).then(alt.value("white")).otherwise(alt.value("black"))
    numbers = base.mark_text(fontSize=11).encode(text=alt.Text("value:Q", format=".2f"), color=ink)
    return (tiles + numbers).properties(width=alt.Step(38), height=alt.Step(26))


def _languages(result: Result) -> alt.Chart | alt.LayerChart:
    """A point per setting and query language: the mean over its rows."""
    import altair as alt

    scores = _primary(result, tuple(result.stored.summary))
    keys = ["setting", "measure", "query_language", "query"]
    means = scores.groupby(keys, as_index=False)["value"].mean()
    means["of"] = means["setting"] + ", " + means["measure"]
    return (
        alt.Chart(means, title=f"{result.model} on {result.suite}, by language of the queries")
        .mark_point(filled=True, size=70)
        .encode(
            x=alt.X("query_language:N", title="queries in", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("value:Q", title="mean over rows"),
            color=alt.Color("of:N", title="setting, measure"),
            shape=alt.Shape("of:N", title="setting, measure"),
            tooltip=["of", "query", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(width=alt.Step(38), height=260)
    )


def _bias(result: Result) -> alt.Chart | alt.LayerChart:
    """A panel per figure of bias, with its 95 % interval where there is one; figures have scales of their own."""
    import altair as alt
    import pandas as pd

    if result.bias is None:
        raise InputError(f"{result!r} has no figures of bias: not every language was searched at once")
    rows = []
    for name, value in result.bias.summary.items():
        low, high = result.bias.intervals.get(name, (value, value))
        rows.append({"figure": name.replace("_", " "), "value": value, "low": low, "high": high})
    names = [name.replace("_", " ") for name in result.bias.summary]
    base = alt.Chart(pd.DataFrame(rows)).encode(tooltip=["figure", "value", "low", "high"])
    places = alt.X("value:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
    points = base.mark_point(filled=True, size=60).encode(x=places)
    intervals = base.mark_rule().encode(x="low:Q", x2="high:Q")
    chart: alt.Chart = (
        (intervals + points)
        .properties(width=420, height=24)
        .facet(row=alt.Row("figure:N", title=None, sort=names, header=alt.Header(labelAngle=0, labelAlign="left")))
        .resolve_scale(x="independent")
        .properties(title=f"{result.model} on {result.suite}: language bias")
    )
    return chart


def _primary(result: Result, settings: tuple[str, ...]) -> pd.DataFrame:
    """The rows of some settings' primary measures, with names of the languages beside their codes."""
    table = result.to_pandas()
    settings_of = table["setting"].astype(str)
    primary = settings_of.map(result.stored.primary) == table["measure"]
    chosen = table[primary & settings_of.isin(settings)].copy()
    for side in ("query", "document"):
        chosen[side] = [LANGUAGES[code].name if code in LANGUAGES else code for code in chosen[f"{side}_language"]]
    return chosen
