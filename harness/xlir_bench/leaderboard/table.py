"""The table of a section: encoders by setting. Pages draw it, and so does the index's script, from JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from xlir_bench.leaderboard.collect import Section, leading_column, measured_columns, summary_frame
from xlir_bench.leaderboard.entrant import Entrant
from xlir_bench.leaderboard.pairwise import Pairwise
from xlir_bench.leaderboard.roster import Participant, Roster
from xlir_bench.leaderboard.wording import (
    BIAS_FIGURES,
    MISSING,
    decimals,
    lower_is_better,
    magnitude,
    measure_name,
    number,
    span,
)
from xlir_bench.results import names_in
from xlir_bench.submissions import ZeroShot, zero_shot

_BIAS, _ENCODER = "language bias", "encoder"
_ZERO_SHOT = {True: "yes", False: "no", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: as it is shown, exactly (None where there is none), its interval, and whether it is the best."""

    text: str
    value: float | str | None = None
    interval: tuple[float, float] | None = None
    interval_text: str = ""
    best: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One sortable column.

    Attributes:
        key: its name in the page's address.
        label: its heading.
        note: what stands small over the heading.
        full: its name out of context.
        group: what stands over it and its neighbours.
        ascending: whether the best value is the smallest.
        places: decimals; -1 for text, -2 for a magnitude.
        primary: whether it is the measure that its setting is ordered by.
    """

    key: str
    label: str
    note: str
    full: str
    group: str
    ascending: bool
    places: int
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The heading over neighbouring columns, with what its means are over."""

    title: str
    note: str
    span: int


@dataclass(frozen=True, slots=True)
class Row:
    """An encoder with its values, and what its row is missing, if anything."""

    participant: Participant
    entrant: Entrant
    cells: tuple[Cell, ...]
    gap: str


@dataclass(frozen=True, slots=True)
class Table:
    """All of it; `order` is the position of the column that its rows are ordered by, if there is one."""

    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    order: int | None

    @property
    def opening(self) -> frozenset[int]:
        """Positions of the first columns of groups."""
        groups = [column.group for column in self.columns]
        return frozenset(at for at in range(len(groups)) if at == 0 or groups[at] != groups[at - 1])

    def only(self, setting: str, extra: Sequence[str] = ()) -> Table:
        """The columns of one setting, and further ones by key."""
        kept = [at for at, c in enumerate(self.columns) if c.group == setting or c.key in extra]
        columns = tuple(self.columns[at] for at in kept)
        primary = next((at for at, c in enumerate(columns) if c.group == setting and c.primary), None)
        rows = [Row(r.participant, r.entrant, tuple(r.cells[at] for at in kept), r.gap) for r in self.rows]
        if primary is not None:
            sign = 1 if columns[primary].ascending else -1

            def place(row: Row) -> tuple[bool, float]:
                value = row.cells[primary].value
                return (True, 0.0) if not isinstance(value, float) else (False, sign * value)

            rows.sort(key=place)
        groups = tuple(group for group in self.groups if group.title == setting)
        return Table(groups, columns, tuple(rows), primary)


def table(section: Section, roster: Roster, tests: Pairwise) -> Table:
    """Rank groups, means with intervals, bias, size, speed and terms; rows in the order of the section's entrants."""
    means = summary_frame(section.results)
    named = measured_columns(means)
    leading = leading_column(named)
    made: list[tuple[Column, list[Cell]]] = []
    order = None
    for at, (setting, measure) in enumerate(named):
        opens = at == 0 or named[at - 1][0] != setting
        if opens and (setting, measure) in tests.ranks:
            made.append(_rank_column(section, setting, measure, tests))
        if at == leading:
            order = len(made)
        made.append(_quality(section, setting, measure, means.iloc[:, at], primary=opens))
    made += _bias(section)
    made += _described(section)
    columns = tuple(column for column, _ in made)
    rows = tuple(
        Row(
            roster[entrant.encoder],
            entrant,
            tuple(cells[position] for _, cells in made),
            f"{len(entrant.missing)} rows missing" if entrant.missing else "",
        )
        for position, entrant in enumerate(section.entrants)
    )
    return Table(_groups(section, columns), columns, rows, order)


def _rank_column(section: Section, setting: str, measure: str, tests: Pairwise) -> tuple[Column, list[Cell]]:
    ranks, letters = tests.ranks[setting, measure], tests.groups[setting, measure]
    column = Column(
        key=f"{setting}/rank",
        label="rank",
        note="",
        full=f"rank group by {measure_name(measure)}, {setting}",
        group=setting,
        ascending=True,
        places=0,
    )
    cells = [
        Cell(str(ranks[at]), float(ranks[at]), title=f"group {letters[at]}: not told apart from others with the letter")
        if at in ranks
        else Cell(MISSING, title="not tested: no ranks were published")
        for at in range(len(section.entrants))
    ]
    return column, cells


def _quality(
    section: Section, setting: str, measure: str, values: pd.Series[float], *, primary: bool
) -> tuple[Column, list[Cell]]:
    """A column of means; best are all that look best as shown, and none where there is nothing to beat."""
    places, lower = decimals(measure), lower_is_better(measure)
    label = measure_name(measure)
    note = "lower is better" if lower else ""
    column = Column(f"{setting}/{measure}", label, note, f"{label}, {setting}", setting, lower, places, primary)
    shown = values.round(places)
    best = shown.min() if lower else shown.max()
    contested = values.count() > 1
    cells = []
    for value, rounded, result in zip(values, shown, section.results, strict=True):
        interval = (result.intervals or {}).get(setting, {}).get(measure)
        cells.append(_figure(value, places, interval, best=bool(contested and rounded == best)))
    return column, cells


def _figure(value: float, places: int, interval: tuple[float, float] | None, *, best: bool = False) -> Cell:
    if not math.isfinite(value):
        return Cell(MISSING)
    if interval is None or not all(map(math.isfinite, interval)):
        return Cell(number(value, places), float(value), best=best)
    return Cell(number(value, places), float(value), interval, span(interval, places), best)


def _bias(section: Section) -> list[tuple[Column, list[Cell]]]:
    """The figures of bias that say most, where results have them; rank distance stands with its setting."""
    made = []
    for key, label, note, places in BIAS_FIGURES:
        found = [result.bias.summary.get(key) if result.bias else None for result in section.results]
        if any(value is not None for value in found):
            cells = [
                Cell(MISSING)
                if v is None or result.bias is None
                else _figure(v, places, result.bias.intervals.get(key))
                for v, result in zip(found, section.results, strict=True)
            ]
            made.append((Column(f"bias/{key}", label, note, f"{label}, {note}", _BIAS, True, places), cells))
    return made


def _described(section: Section) -> list[tuple[Column, list[Cell]]]:
    """Size, speed, licence, zero-shot and origin; none is a merit alone, so none is a best."""
    entrants = section.entrants
    columns: tuple[tuple[str, str, str, int, Sequence[float | str | None]], ...] = (
        ("parameters", "parameters", "", -2, [_size(e) for e in entrants]),
        ("dimensions", "dimensions", "", 0, [_as_float(e.profile.dimensions) for e in entrants]),
        ("texts_per_s", "texts/s", "this machine", 0, [e.result.timing.texts_per_s for e in entrants]),
        ("licence", "licence", "", -1, [short_licence(e.profile.licence) for e in entrants]),
        ("zero_shot", "zero-shot", "as declared or audited", -1, [zero_shot_of(e, section) for e in entrants]),
        ("origin", "figures", "", -1, [e.origin for e in entrants]),
    )
    made = []
    for key, label, note, places, values in columns:
        if any(value is not None for value in values):
            cells = [_plain(value, places) for value in values]
            made.append((Column(key, label, note, label, _ENCODER, key != "texts_per_s", places), cells))
    return made


def _plain(value: float | str | None, places: int) -> Cell:
    if isinstance(value, str):
        return Cell(value, value)
    if value is None or not math.isfinite(value):
        return Cell(MISSING)
    return Cell(magnitude(value) if places == -2 else number(value, places), float(value))


def _size(entrant: Entrant) -> float | None:
    return _as_float(entrant.profile.parameters)


def _as_float(value: int | None) -> float | None:
    return None if value is None else float(value)


def short_licence(licence: str | None) -> str | None:
    """A licence's name in one spelling; an address says only that there are terms."""
    if licence is None:
        return None
    return "own terms" if "://" in licence else licence.lower()[:40]


def zero_shot_of(entrant: Entrant, section: Section) -> str:
    """Whether the encoder is zero-shot on the suite: yes, no, unknown; `yes, audited` where an audit says so."""
    stated = zero_shot_in(entrant, section)
    return f"yes, {stated.basis}" if stated.holds and stated.audited else _ZERO_SHOT[stated.holds]


def zero_shot_in(entrant: Entrant, section: Section) -> ZeroShot:
    """What a result states; where it is older, or was imported, what follows from the declaration."""
    stated = entrant.result.zero_shot if entrant.origin == "measured" else None
    if stated is not None:
        holds = {"zero-shot": True, "not zero-shot": False}.get(stated.status)
        unaudited = names_in(entrant.result.model.details, "unaudited") if stated.basis == "partly audited" else None
        return ZeroShot(holds, stated.because, "audited" in stated.basis, unaudited or ())
    return _declared(entrant.profile.trained_on, section.suite.name.partition(" ")[0])


@cache
def _declared(trained_on: tuple[str, ...] | None, suite: str) -> ZeroShot:
    """Asked again for every page that an encoder is on."""
    return zero_shot(trained_on, suite)


def _groups(section: Section, columns: Sequence[Column]) -> tuple[Group, ...]:
    """Headings over the columns of one setting, each with the number of rows that its means are over."""
    scores = section.scores
    names = [column.group for column in columns]
    groups = []
    for name in dict.fromkeys(names):
        rows = scores[scores["setting"] == name]
        pairs = len(rows[["query", "document"]].drop_duplicates())
        note = {_BIAS: "of the pool of all languages", _ENCODER: "size, speed, terms"}.get(name) or _extent(name, pairs)
        groups.append(Group(name, note, names.count(name)))
    return tuple(groups)


def _extent(setting: str, rows: int) -> str:
    unit = "language pair" if setting == "cross-lingual" else "language"
    pool = ", one pool" if setting == "multilingual" else ""
    return f"{rows} {unit}{'' if rows == 1 else 's'}{pool}"


def by_language(section: Section, columns: Sequence[Column]) -> dict[str, Any]:
    """Primary measures by query language, for the index's script: `languages`, and per setting a row per entrant."""
    scores = section.scores
    languages = sorted(set(scores["query"]))
    found: dict[str, list[list[float | None]]] = {}
    for column in columns:
        if column.primary and len(languages) > 1:
            setting, measure = column.group, column.key.partition("/")[2]
            wanted = scores[(scores["setting"] == setting) & (scores["measure"] == measure)]
            values = wanted.pivot_table(index="encoder", columns="query", values="value", aggfunc="mean")
            values = values.reindex(index=range(len(section.entrants)), columns=languages).round(5)
            found[column.key] = [[None if pd.isna(v) else float(v) for v in row] for row in values.to_numpy()]
    return {"languages": languages if found else [], "values": found}
