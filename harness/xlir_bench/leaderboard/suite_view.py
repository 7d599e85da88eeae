"""What the page of one suite says: an overview, and a tab per setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xlir_bench.languages import known
from xlir_bench.leaderboard import charts
from xlir_bench.leaderboard.chart_files import letters_without_font
from xlir_bench.leaderboard.collect import Section, by_query_language, differences, settings_of
from xlir_bench.leaderboard.data import page_of
from xlir_bench.leaderboard.heatmap import HeatMap, Scale, Strips, strips
from xlir_bench.leaderboard.labels import Point
from xlir_bench.leaderboard.pairwise import Pairwise
from xlir_bench.leaderboard.roster import Participant, Roster
from xlir_bench.leaderboard.table import Column, Table
from xlir_bench.leaderboard.wording import Label, ordered_labels

MAPS = 6
"""Encoders whose maps stand on a suite's page; every other's is on its own page."""

_BARS = 5
_BIAS = ("multilingual/rank_distance", "bias/language_advantage.spread", "bias/limit_to_one_target.gap")


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its title, and what its colours mean, if anything.

    Attributes:
        title: of the drawing.
        figure: the drawing, for the page and for a file.
        name: of its files, without an ending.
        key: what the colours mean.
    """

    title: str
    figure: charts.Figure
    name: str
    key: tuple[str, ...] = ()

    @property
    def files(self) -> ChartFiles:
        """The drawing for a file."""
        return ChartFiles(self.name, self.figure.file)


@dataclass(frozen=True, slots=True)
class ChartFiles:
    """A drawing as files beside the page.

    Attributes:
        name: of the files, without an ending.
        svg: a whole SVG.
    """

    name: str
    svg: str

    @property
    def has_png(self) -> bool:
        """Whether fonts here have every letter of it."""
        return not letters_without_font(self.svg)


@dataclass(frozen=True, slots=True)
class SettingView:
    """One tab."""

    setting: str
    anchor: str
    table: Table
    strips: Strips | None
    maps: tuple[tuple[Participant, HeatMap], ...]
    scale: Scale | None
    charts: tuple[Chart, ...]

    @property
    def files(self) -> list[ChartFiles]:
        """Of all of its drawings."""
        return [chart.files for chart in self.charts]


@dataclass(frozen=True, slots=True)
class SectionView:
    """A suite's page. `apart`: the sections that it is not comparable with, and why."""

    section: Section
    languages: tuple[Label, ...]
    table: Table
    settings: tuple[SettingView, ...]
    apart: tuple[tuple[Section, str], ...]
    tests: Pairwise


def section_view(
    section: Section,
    table: Table,
    tests: Pairwise,
    drawn: tuple[Mapping[int, HeatMap], Scale | None],
    others: tuple[tuple[Section, ...], Roster],
) -> SectionView:
    """The page of a section.

    Args:
        section: what it shows.
        table: of the section.
        tests: of the section.
        drawn: the maps of its encoders by position, and their scale.
        others: all sections, and the encoders.
    """
    sections, roster = others
    participants = {at: roster[entrant.encoder] for at, entrant in enumerate(section.entrants)}
    views = []
    for number, setting in enumerate(settings_of(section.results)):
        own = table.only(setting, [c.key for c in table.columns if c.group in ("language bias", "encoder")])
        cross = setting == "cross-lingual" and drawn[1] is not None
        views.append(
            SettingView(
                setting=setting,
                anchor=f"setting-{number}",
                table=table.only(setting),
                strips=None if cross else strips(section, setting),
                maps=tuple((participants[at], drawn[0][at]) for at in sorted(drawn[0])[:MAPS]) if cross else (),
                scale=drawn[1] if cross else None,
                charts=() if section.stale else tuple(_charts(section, (setting, number), own, table)),
            )
        )
    apart = tuple(
        (other, " and ".join(differences(section.suite, other.suite)))
        for other in sections
        if other is not section and other.suite.name == section.suite.name
    )
    return SectionView(section, ordered_labels(section.suite.languages), table, tuple(views), apart, tests)


def _charts(section: Section, place: tuple[str, int], own: Table, table: Table) -> list[Chart]:
    """Effectiveness against bias, speed and size, and by family, as far as there are figures.

    Args:
        section: what they are of.
        place: the setting, and its number on the page.
        own: the setting's columns.
        table: all columns.
    """
    setting, number = place
    stem = f"{page_of(section).removesuffix('.html')}-{number}"
    primary = own.order
    if primary is None:
        return []
    y = own.columns[primary]
    found: list[Chart] = []
    bias = next((key for key in _BIAS if any(column.key == key for column in table.columns)), None)
    wanted = [(bias, False, "language bias")] if bias else []
    wanted += [("texts_per_s", True, "speed"), ("parameters", True, "size")]
    for key, logarithmic, against in wanted:
        points = _points(table, key or "", y.key, positive=logarithmic)
        x = next((column for column in table.columns if column.key == key), None)
        if x is not None and len(points) > 1:
            name = x.full if x.group != "encoder" else {"texts_per_s": "texts per second"}.get(x.key, x.label)
            figure = charts.scatter(points, name, y.full, logarithmic=logarithmic)
            if figure is not None:
                found.append(Chart(f"Effectiveness against {against}", figure, f"{stem}-{against.split()[-1]}"))
    families = _families(section, (setting, f"{stem}-families"), y, own)
    return found + ([families] if families else [])


def _points(table: Table, x_key: str, y_key: str, *, positive: bool) -> list[Point]:
    at = {column.key: number for number, column in enumerate(table.columns)}
    if x_key not in at:
        return []
    points = []
    for row in table.rows:
        x, y = row.cells[at[x_key]].value, row.cells[at[y_key]].value
        if isinstance(x, float) and isinstance(y, float) and (x > 0 or not positive):
            measured = row.entrant.origin == "measured"
            points.append(Point(x, y, row.participant.title, row.participant.page, measured))
    return points


def _families(section: Section, place: tuple[str, str], primary: Column, own: Table) -> Chart | None:
    """The means of the best encoders over the query languages of each family, the family with most languages first.

    Args:
        section: what they are of.
        place: the setting, and the name of the drawing's files.
        primary: what is drawn.
        own: the setting's columns.
    """
    setting, name = place
    measure = primary.key.partition("/")[2]
    scores = section.scores
    positions = {id(entrant): at for at, entrant in enumerate(section.entrants)}
    best = [row for row in own.rows if isinstance(row.cells[own.order or 0].value, float)][:_BARS]
    means = [
        by_query_language(scores[scores["encoder"] == positions[id(row.entrant)]], setting, measure) for row in best
    ]
    codes = {str(code) for one in means for code in one.index}
    members: dict[str, list[str]] = {}
    for code in sorted(codes):
        row = known(code)
        members.setdefault((row.family if row is not None else None) or "other", []).append(code)
    if len(members) < 2:
        return None
    values: dict[str, list[float | None]] = {}
    for family, own_codes in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        label = f"{family} ({len(own_codes)})" if len(own_codes) > 1 else family
        values[label] = [
            float(one[present].mean()) if (present := [c for c in own_codes if c in one.index]) else None
            for one in means
        ]
    names = [row.participant.title for row in best]
    figure = charts.bars(values, names, primary.full)
    title = f"By family of the queries' language{', best ' + str(len(best)) if len(own.rows) > len(best) else ''}"
    return Chart(title, figure, name, tuple(names)) if figure is not None else None
