"""The table of a section: encoders by setting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from xlir_bench.leaderboard.collect import (
    Section,
    anchor,
    leading_column,
    measured_columns,
    scores_frame,
    summary_frame,
)
from xlir_bench.leaderboard.wording import MISSING, decimals, lower_is_better, magnitude, measure_name, number
from xlir_bench.results import Result

_OTHER_GROUP = "encoder"


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: as it is shown, exactly (None where there is none), and whether it is its column's best."""

    text: str
    value: str | None = None
    best: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One sortable column.

    Attributes:
        key: its name in the page's address.
        label: its heading.
        note: what stands small under the heading.
        full: its name out of context, for screen readers.
        opens_group: whether it is the first of its group.
        ascending: whether the best value is the smallest.
        sorted: whether the table arrives sorted by it.
    """

    key: str
    label: str
    note: str
    full: str
    opens_group: bool
    ascending: bool
    sorted: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The heading over neighbouring columns, with what its means are over."""

    title: str
    note: str
    span: int


@dataclass(frozen=True, slots=True)
class Row:
    """An encoder: its id, its short name where another has the same id, its place on the page, its values."""

    title: str
    subtitle: str
    anchor: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole table; `sorted_by` names the column that its rows are ordered by, if there is one."""

    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    sorted_by: str


def encoder_anchor(section: Section, result: Result) -> str:
    """The id of the part of the page that shows one encoder on one suite."""
    return anchor(result.model.id, section.anchor, result.model.id, result.model.fingerprint)


def titles(section: Section) -> list[tuple[str, str]]:
    """What each encoder is called: its id and, only where two share it, its unique short name.

    A folder or a file of somebody's disk is called by its short name: where it lay says nothing to a reader.
    """
    ids = [result.model.id for result in section.results]
    found = []
    for model in (result.model for result in section.results):
        if model.id.startswith(("/", "./", "../", "~")):
            found.append((model.name, ""))
        else:
            found.append((model.id, model.name if ids.count(model.id) > 1 else ""))
    return found


def overview(section: Section) -> Overview:
    """Means by setting and measure, then size and speed; rows in the order of the section's results."""
    means = summary_frame(section.results)
    named = measured_columns(means)
    measured = [
        (_quality_column(named, position), _quality_cells(measure, means.iloc[:, position]))
        for position, (_, measure) in enumerate(named)
    ]
    described = _description_columns(section)
    columns = [column for column, _ in measured + described]
    leading = leading_column(named)
    if leading is not None:
        columns[leading] = replace(columns[leading], sorted=True)
    rows = tuple(
        Row(
            *title,
            encoder_anchor(section, result),
            tuple(cells[position] for _, cells in measured + described),
        )
        for position, (title, result) in enumerate(zip(titles(section), section.results, strict=True))
    )
    sorted_by = "" if leading is None else columns[leading].full
    return Overview(_groups(section, named, len(described)), tuple(columns), rows, sorted_by)


def _quality_column(named: list[tuple[str, str]], position: int) -> Column:
    setting, measure = named[position]
    lower = lower_is_better(measure)
    label = measure_name(measure)
    return Column(
        key=f"{setting}/{measure}",
        label=label,
        note="lower is better" if lower else "",
        full=f"{label}, {setting}",
        opens_group=position == 0 or setting != named[position - 1][0],
        ascending=lower,
    )


def _quality_cells(measure: str, values: pd.Series[float]) -> list[Cell]:
    """A column of means; best are all that look best as shown, and none where there is nothing to beat."""
    places = decimals(measure)
    shown = values.round(places)
    best = shown.min() if lower_is_better(measure) else shown.max()
    contested = values.count() > 1
    return [
        Cell(MISSING)
        if pd.isna(value)
        else Cell(number(value, places), repr(float(value)), best=bool(contested and rounded == best))
        for value, rounded in zip(values, shown, strict=True)
    ]


def _description_columns(section: Section) -> list[tuple[Column, list[Cell]]]:
    """Dimensions and parameters where results state them, and speed; none is a merit alone, so none is a best."""
    made: list[tuple[Column, list[Cell]]] = []
    for key, label, note, of in (
        ("dimensions", "dimensions", "", lambda result: _count(result, "dimensions")),
        ("parameters", "parameters", "", lambda result: _count(result, "parameters")),
        ("texts_per_s", "texts/s", "machine-dependent", lambda result: result.timing.texts_per_s),
    ):
        values = [of(result) for result in section.results]
        if any(value is not None for value in values):
            text = magnitude if key == "parameters" else lambda value: f"{value:,.0f}"
            cells = [Cell(MISSING) if v is None else Cell(text(v), repr(v)) for v in values]
            made.append((Column(key, label, note, label, opens_group=not made, ascending=key != "texts_per_s"), cells))
    return made


def _count(result: Result, key: str) -> int | None:
    value = result.model.details.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _groups(section: Section, named: list[tuple[str, str]], described: int) -> tuple[Group, ...]:
    """Headings over the columns of one setting, each with the number of rows that its means are over."""
    scores = scores_frame(section.results)
    settings = [setting for setting, _ in named]
    groups = []
    for setting in dict.fromkeys(settings):
        rows = scores[scores["setting"] == setting]
        pairs = len(rows[["query", "document"]].drop_duplicates())
        groups.append(Group(setting, _extent(setting, pairs), settings.count(setting)))
    return (*groups, Group(_OTHER_GROUP, "size and speed", described)) if described else tuple(groups)


def _extent(setting: str, rows: int) -> str:
    unit = "language pair" if setting == "cross-lingual" else "language"
    pool = ", one pool" if setting == "multilingual" else ""
    return f"{rows} {unit}{'' if rows == 1 else 's'}{pool}"
