"""Charts of a result, by Altair: they are shown in a notebook, and saved by their own `save`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xlir_bench.analysis import following
from xlir_bench.analysis.fairness import without_cutoff
from xlir_bench.api.result import AnyResults, Result, results_of_one_suite
from xlir_bench.errors import InputError, unknown_name
from xlir_bench.languages import LANGUAGES
from xlir_bench.leaderboard import charts
from xlir_bench.leaderboard.labels import Point
from xlir_bench.leaderboard.wording import measure_name

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

KINDS = ("map", "languages", "bias")
TRADE_OFF = "trade-off"
_AGAINST = ("rank_distance", "language_advantage.spread", "limit_to_one_target.gap")
"""Figures of bias that effectiveness is drawn against: the first that all results have, as on the pages."""


def plot(result: Result, kind: str) -> alt.Chart | alt.LayerChart:
    """See `Result.plot`."""
    drawn = {"map": _map, "languages": _languages, "bias": _bias}.get(kind)
    if drawn is None:
        raise unknown_name("plot", kind, KINDS, f"known: {', '.join(KINDS)}")
    return drawn(result)


def figures_for(given: AnyResults, kind: str, suite: str | None, names: Mapping[str, str]) -> list[Result]:
    """Results to draw, each with what is drawn of it computed again from its ranks.

    Args:
        given: the results.
        kind: of the chart.
        suite: only those of this suite.
        names: of a model or a suite -> what to write in its place.

    Raises:
        InputError: they are of several suites, a name is not there, or a figure does not follow from its ranks.
        MissingResourceError: there is none, or one lacks its ranks.
    """
    found = results_of_one_suite(given, suite)
    known = {name for one in found for name in (one.model, one.suite)}
    for name in names:
        if name not in known:
            raise unknown_name("name", name, known, f"there are {', '.join(sorted(known))}")
    drawn = []
    for one in found:
        stored = one.stored
        if kind in ("bias", TRADE_OFF):
            stored = following(stored, one.ranks, str(one.path or one.model), analysis=True)
        model = stored.model.model_copy(update={"name": names.get(one.model, one.model)})
        of_suite = stored.suite.model_copy(update={"name": names.get(one.suite, one.suite)})
        shown = stored.model_copy(update={"model": model, "suite": of_suite})
        drawn.append(Result(shown, one.ranks, path=one.path))
    return drawn


def trade_off(results: Sequence[Result], setting: str | None = None, figure: str | None = None) -> alt.LayerChart:
    """Effectiveness against language bias: a point for each of several results of one suite.

    Args:
        results: two or more.
        setting: whose primary measure is drawn; multilingual, or the first that all have.
        figure: of bias; with or without its cut-off.

    Raises:
        InputError: fewer than two results; or they have no setting or no such figure in common.
    """
    if len(results) < 2:
        raise InputError("a trade-off is drawn of two results at least")
    first = results[0].stored
    settings = [
        name
        for name, measure in first.primary.items()
        if all(measure in one.stored.summary.get(name, {}) for one in results)
    ]
    chosen = setting or next((name for name in ("multilingual", *settings) if name in settings), None)
    if chosen not in settings:
        raise InputError(
            f"the results have not all a {chosen or 'setting'}; in common: {', '.join(settings) or 'none'}"
        )
    measure = first.primary[chosen]
    biases = [one.bias.summary if one.bias is not None else {} for one in results]
    common = [name for name in biases[0] if all(name in other for other in biases)]
    asked = (figure,) if figure is not None else _AGAINST
    against = next((name for one in asked for name in common if one in {name, without_cutoff(name)}), None)
    if against is None:
        has = ", ".join(common) or "no figure of bias"
        raise InputError(f"not all results have {' or '.join(asked)}; all have {has}")
    points = [
        Point(bias[against], one.stored.summary[chosen][measure], one.model)
        for one, bias in zip(results, biases, strict=True)
    ]
    name = measure_name(against).replace("_", " ")
    return charts.scatter_chart(points, (name, f"{measure_name(measure)}, {chosen}"))


def _map(result: Result) -> alt.Chart | alt.LayerChart:
    """A square per pair of languages; its colour and number are the primary measure."""
    scores = _primary(result, ("monolingual", "cross-lingual"))
    if scores.empty:
        raise InputError(f"{result!r} has no monolingual and no cross-lingual row to draw a map of")
    measure = str(scores["measure"].iloc[0])
    fields = ["query_language", "document_language", "value", "setting", "query", "document", "queries", "documents"]
    cells = [{str(name): value for name, value in row.items()} for row in scores[fields].to_dict("records")]
    return charts.map_chart(cells, measure, f"{result.model} on {result.suite}: {measure}")


def _languages(result: Result) -> alt.Chart | alt.LayerChart:
    """A point per setting and query language: the mean over its rows."""
    import altair as alt

    scores = _primary(result, tuple(result.stored.summary))
    keys = ["setting", "measure", "query_language", "query"]
    means = scores.groupby(keys, as_index=False)["value"].mean()
    means["of"] = means["setting"] + ", " + means["measure"]
    order = [one for setting in result.stored.summary for one in dict.fromkeys(means["of"]) if one.startswith(setting)]
    colours = list(charts.COLOURS[: len(order)])
    return (
        alt.Chart(means, title=f"{result.model} on {result.suite}, by language of the queries")
        .mark_point(filled=True, size=70)
        .encode(
            x=alt.X("query_language:N", title="queries in", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("value:Q", title="mean over rows"),
            color=alt.Color("of:N", title="setting, measure", scale=alt.Scale(domain=order, range=colours)),
            shape=alt.Shape("of:N", title="setting, measure", scale=alt.Scale(domain=order)),
            tooltip=["of", "query", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(width=alt.Step(charts.language_step(means["query_language"])), height=260)
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
        .facet(
            row=alt.Row("figure:N", title=None, sort=names, header=alt.Header(labelAngle=0, labelAlign="left")),
            spacing=6,
        )
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
