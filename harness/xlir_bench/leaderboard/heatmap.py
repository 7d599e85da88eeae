"""Scores by language: a matrix per encoder, or, without a cross-lingual setting, one strip per encoder."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from xlir_bench.leaderboard import colour
from xlir_bench.leaderboard.collect import (
    Section,
    by_query_language,
    map_measure,
    matrix,
    off_diagonal,
    scores_frame,
    settings_of,
)
from xlir_bench.leaderboard.overview import titles
from xlir_bench.leaderboard.wording import MISSING, Label, measure_name, number, ordered_labels, short_share


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
    """One setting's values by query language, an encoder per row: title, subtitle, tiles, mean."""

    setting: str
    measure: str
    columns: tuple[Label, ...]
    rows: tuple[tuple[str, str, tuple[Tile, ...], Tile], ...]
    scale: Scale


@dataclass(frozen=True, slots=True)
class LanguageView:
    """What a section shows by language: maps by position of the encoder, or strips, or neither."""

    maps: tuple[HeatMap, ...]
    strips: tuple[Strips, ...]
    scale: Scale | None


def language_view(section: Section) -> LanguageView:
    """Maps where there is a cross-lingual setting, else strips for every setting with more than one language."""
    scores = scores_frame(section.results)
    measure = map_measure(section.results, scores)
    if measure is None:
        return LanguageView((), tuple(_strips(section, scores)), None)
    per_encoder = [scores[scores["encoder"] == encoder] for encoder in range(len(section.results))]
    shown = [v for one in per_encoder for v in matrix(one, measure).to_numpy().ravel()]
    shown += [v for one in per_encoder for v in by_query_language(one, "multilingual", measure)]
    scale = _scale(shown)
    mono_cross = scores[scores["setting"].isin(["monolingual", "cross-lingual"]) & (scores["measure"] == measure)]
    rows, columns = ordered_labels(mono_cross["query"]), ordered_labels(mono_cross["document"])
    return LanguageView(tuple(_map(one, measure, (rows, columns), scale) for one in per_encoder), (), scale)


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
    """What one map is drawn from: three tables of query by document language, two series by query language."""

    values: pd.DataFrame
    queries: pd.DataFrame
    documents: pd.DataFrame
    pool: pd.Series[float]
    distance: pd.Series[float]


def _map(
    scores: pd.DataFrame, measure: str, labels: tuple[tuple[Label, ...], tuple[Label, ...]], scale: Scale
) -> HeatMap:
    """The map of one encoder, on the axes and colours that all encoders of its section share."""
    rows, columns = labels
    index, across = [row.code for row in rows], [column.code for column in columns]
    values, queries, documents = (
        matrix(scores, measure, held).reindex(index=index, columns=across) for held in ("value", "queries", "documents")
    )
    pool, distance = (by_query_language(scores, "multilingual", shown) for shown in (measure, "rank_distance"))
    numbers = _Numbers(values, queries, documents, pool, distance)
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


def _map_tile(numbers: _Numbers, row: Label, column: Label, scale: Scale, measure: str) -> Tile:
    at = (row.code, column.code)
    value, queries, documents = (
        _optional(table.at[at]) for table in (numbers.values, numbers.queries, numbers.documents)
    )
    same = row.code == column.code
    made = _tile(value, column, scale)
    if value is not None:
        where = f"{row.name}, monolingual" if same else f"{row.name} → {column.name}"
        sizes = f"{number(queries, 0)} queries, {number(documents, 0)} documents"
        made = replace(made, tooltip=f"{where}: {measure} {value:.4f} ({sizes})")
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


def _strips(section: Section, scores: pd.DataFrame) -> Iterable[Strips]:
    """A table of strips for each setting in which more than one language is searched from."""
    for setting in settings_of(section.results):
        primaries = [result.primary.get(setting) for result in section.results]
        measured = set(scores[scores["setting"] == setting]["measure"])
        measure = next((primary for primary in primaries if primary in measured), None)
        if measure is None:
            continue
        per_encoder = [
            by_query_language(scores[scores["encoder"] == encoder], setting, measure)
            for encoder in range(len(section.results))
        ]
        columns = ordered_labels(code for one in per_encoder for code in one.index)
        if len(columns) < 2:
            continue
        scale = _scale(value for one in per_encoder for value in one)
        rows = tuple(
            (
                *name,
                tuple(_tile(_optional(one.get(column.code)), column, scale) for column in columns),
                _tile(_optional(one.mean()), None, None),
            )
            for name, one in zip(titles(section), per_encoder, strict=True)
        )
        yield Strips(setting, measure_name(measure), columns, rows, scale)
