"""Scores by language: a matrix per encoder, and per setting one strip for each encoder."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from xlir_bench.leaderboard import colour
from xlir_bench.leaderboard.collect import (
    Section,
    by_query_language,
    map_measure,
    matrix,
    off_diagonal,
)
from xlir_bench.leaderboard.wording import (
    MISSING,
    Label,
    lower_is_better,
    measure_name,
    number,
    ordered_labels,
    short_share,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """The range of values that the colours of a section spread over."""

    low: float
    high: float

    @property
    def ticks(self) -> tuple[str, str]:
        """Both ends, as they are written under the legend."""
        return f"{self.low:g}", f"{self.high:g}"


@dataclass(frozen=True, slots=True)
class Tile:
    """One coloured cell.

    Attributes:
        text: the rounded value.
        value: the exact one, None where there is none.
        step: its colour, None for a plain cell.
        tooltip: the same in words.
        marks: CSS classes: `same` on the diagonal, `family` where another family's columns begin.
    """

    text: str
    value: str | None = None
    step: int | None = None
    tooltip: str = ""
    marks: str = ""


@dataclass(frozen=True, slots=True)
class MapRow:
    """One query language, or, with no label, the means of the columns."""

    label: Label | None
    tiles: tuple[Tile, ...]
    mean: Tile
    pool: Tile | None
    distance: Tile | None


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One encoder's query-language x document-language map; the last row holds the column means."""

    measure: str
    columns: tuple[Label, ...]
    rows: tuple[MapRow, ...]
    has_pool: bool
    has_distance: bool


@dataclass(frozen=True, slots=True)
class Strips:
    """One setting's values by query language, an encoder per row: its position, tiles, mean."""

    setting: str
    measure: str
    columns: tuple[Label, ...]
    rows: tuple[tuple[int, tuple[Tile, ...], Tile], ...]
    scale: Scale


def maps(section: Section, positions: Collection[int]) -> tuple[dict[int, HeatMap], Scale | None]:
    """The maps of some of a section's encoders, on axes and colours that all of them share.

    Empty, without a scale, where nothing is cross-lingual.
    """
    scores = section.scores
    measure = map_measure(section.results, scores)
    if measure is None:
        return {}, None
    of_measure = scores[scores["measure"] == measure]
    scale = _scale(of_measure["value"])
    mono_cross = of_measure[of_measure["setting"].isin(["monolingual", "cross-lingual"])]
    labels = ordered_labels(mono_cross["query"]), ordered_labels(mono_cross["document"])
    found = {
        int(str(position)): _map(one, measure, labels, scale)
        for position, one in scores[scores["encoder"].isin(positions)].groupby("encoder")
    }
    return found, scale


def language_map(values: Mapping[str, Mapping[str, float]], measure: str) -> tuple[HeatMap, Scale]:
    """Any figure by query language and document language: the first key is the row."""
    scale = _scale(value for row in values.values() for value in row.values())
    rows, columns = ordered_labels(values), ordered_labels(code for row in values.values() for code in row)
    body = []
    for row in rows:
        given = values[row.code]
        tiles = tuple(_plain_tile(row, column, given.get(column.code), scale) for column in columns)
        others = [value for code, value in given.items() if code != row.code]
        mean = sum(others) / len(others) if others else None
        body.append(MapRow(row, tiles, _tile(mean, None, None), None, None))
    return HeatMap(measure, columns, tuple(body), has_pool=False, has_distance=False), scale


def _plain_tile(row: Label, column: Label, value: float | None, scale: Scale) -> Tile:
    made = _tile(value, column, scale)
    if value is not None:
        made = replace(made, tooltip=f"{row.name}, {column.name}: {value:.4f}")
    return replace(made, marks=f"same {made.marks}".strip()) if row.code == column.code else made


def strips(section: Section, setting: str) -> Strips | None:
    """A setting's primary measure by query language; None where only one language is searched from."""
    scores = section.scores
    scores = scores[scores["setting"] == setting]
    measured = set(scores["measure"])
    measure = next((r.primary.get(setting) for r in section.results if r.primary.get(setting) in measured), None)
    if measure is None:
        return None
    values = scores[scores["measure"] == measure].pivot_table(
        index="encoder", columns="query", values="value", aggfunc="mean"
    )
    columns = ordered_labels(values.columns)
    if len(columns) < 2:
        return None
    scale = _scale(values.to_numpy().ravel())
    table = values.reindex(columns=[column.code for column in columns])
    means, cells = table.mean(axis=1), table.to_numpy()
    order = means.sort_values(ascending=lower_is_better(measure), kind="stable").index
    place = {encoder: row for row, encoder in enumerate(table.index)}
    rows = tuple(
        (
            int(encoder),
            tuple(
                _tile(_optional(value), column, scale)
                for column, value in zip(columns, cells[place[encoder]], strict=True)
            ),
            _tile(_optional(means[encoder]), None, None),
        )
        for encoder in order
    )
    return Strips(setting, measure_name(measure), columns, rows, scale)


def _scale(values: Iterable[float]) -> Scale:
    """A range around all values: tenths for shares, whole numbers for anything else."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Scale(0.0, 1.0)
    unit = 10 if max(map(abs, finite)) <= 1 else 1
    low, high = math.floor(min(finite) * unit) / unit, math.ceil(max(finite) * unit) / unit
    return Scale(low, high if high > low else low + 1 / unit)


def _optional(value: object) -> float | None:
    return None if value is None or pd.isna(value) else float(value)  # type: ignore[call-overload,arg-type]


def _exact(value: float | None) -> str | None:
    return None if value is None else repr(value)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What one map is drawn from: three tables by query and document language, two series by query language."""

    value: dict[tuple[str, str], float]
    queries: dict[tuple[str, str], float]
    documents: dict[tuple[str, str], float]
    pool: pd.Series[float]
    distance: pd.Series[float]


def _map(
    scores: pd.DataFrame, measure: str, labels: tuple[tuple[Label, ...], tuple[Label, ...]], scale: Scale
) -> HeatMap:
    """The map of one encoder, on the axes and colours that all encoders of its section share."""
    rows, columns = labels
    index, across = [row.code for row in rows], [column.code for column in columns]
    tables = {
        held: matrix(scores, measure, held).reindex(index=index, columns=across)
        for held in ("value", "queries", "documents")
    }
    values = tables["value"]
    pool, distance = (by_query_language(scores, "multilingual", shown) for shown in (measure, "rank_distance"))
    numbers = _Numbers(**{held: _cells(table) for held, table in tables.items()}, pool=pool, distance=distance)
    name = measure_name(measure)
    cross = off_diagonal(values)
    body = [
        MapRow(
            row,
            tuple(_map_tile(numbers, row, column, scale, name) for column in columns),
            _tile(_optional(cross.loc[row.code].mean()), None, None),
            *_multilingual_tiles(numbers, pool.get(row.code), distance.get(row.code), scale),
        )
        for row in rows
    ]
    foot = MapRow(
        None,
        tuple(_tile(_optional(cross[column.code].mean()), column, None) for column in columns),
        _tile(_optional(cross.stack().mean()), None, None),
        *_multilingual_tiles(numbers, pool.mean(), distance.mean(), None),
    )
    return HeatMap(name, columns, (*body, foot), not pool.empty, not distance.empty)


def _cells(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    """What a table holds, by row and column: reading a cell of a dictionary is a hundred times quicker."""
    rows, columns = list(table.index), list(table.columns)
    return {(x, y): v for x, row in zip(rows, table.to_numpy(), strict=True) for y, v in zip(columns, row, strict=True)}


def _map_tile(numbers: _Numbers, row: Label, column: Label, scale: Scale, measure: str) -> Tile:
    at = (row.code, column.code)
    value, queries, documents = (
        _optional(table.get(at)) for table in (numbers.value, numbers.queries, numbers.documents)
    )
    same = row.code == column.code
    made = _tile(value, column, scale)
    if value is not None:
        where = f"{row.name}, monolingual" if same else f"{row.name} → {column.name}"
        sizes = f" ({number(queries, 0)} queries, {number(documents, 0)} documents)" if queries else ""
        made = replace(made, tooltip=f"{where}: {measure} {value:.4f}{sizes}")
    return replace(made, marks=f"same {made.marks}".strip()) if same else made


def _multilingual_tiles(
    numbers: _Numbers, pooled: object, apart: object, scale: Scale | None
) -> tuple[Tile | None, Tile | None]:
    """The score in the whole pool and the rank distance; None for a column that the map does not have."""
    distance = _optional(apart)
    return (
        None if numbers.pool.empty else _tile(_optional(pooled), None, scale),
        None if numbers.distance.empty else Tile(number(distance, 0), _exact(distance)),
    )


def _tile(value: float | None, column: Label | None, scale: Scale | None) -> Tile:
    """A value under a language's heading, coloured where there is a scale."""
    marks = "family" if column is not None and column.opens_family else ""
    if value is None:
        return Tile(MISSING, marks=marks)
    step = None if scale is None else colour.step(value, scale.low, scale.high)
    tooltip = "" if column is None else f"{column.name}: {value:.4f}"
    return Tile(short_share(value), _exact(value), step, tooltip, marks)
