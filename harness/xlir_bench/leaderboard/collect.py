"""Results sorted into sections of what may be compared, and each section's scores as frames."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from xlir_bench.leaderboard.entrant import Entrant, Origin, task_suite
from xlir_bench.leaderboard.wording import lower_is_better
from xlir_bench.results import Result, SuiteReference

SETTINGS = ("monolingual", "cross-lingual", "multilingual")
_MOST_LISTED = 6
"""Languages that the name of a table lists; of more it says the number."""

_RANKED_BY = ("multilingual", "cross-lingual", "monolingual")


@dataclass(frozen=True)
class Section:
    """The results of one suite that may stand in one table.

    Attributes:
        anchor: its id in addresses: letters, digits and hyphens.
        suite: what all its results were measured on. Version 0 is a task that was published elsewhere.
        entrants: one per encoder, newest run only, the best first.
        superseded: older runs of the same encoders, which are left out.
        stale: whether it is of another revision of the data than the newest.
        edition: what tells it from others of its suite's name: the version, languages where those differ, data.
    """

    anchor: str
    suite: SuiteReference
    entrants: tuple[Entrant, ...]
    superseded: tuple[Entrant, ...]
    stale: bool = False
    edition: str = ""

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """The results of the entrants, in the same order."""
        return tuple(entrant.result for entrant in self.entrants)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """All scores; see `scores_frame`."""
        return scores_frame(self.results)

    @property
    def origins(self) -> frozenset[Origin]:
        """Where its figures come from."""
        return frozenset(entrant.origin for entrant in self.entrants)

    @property
    def published(self) -> bool:
        """Whether it is a task of somebody else's, with imported figures only."""
        return self.suite.version == 0


def anchor(readable: str, *identity: object) -> str:
    """An id for an element: what a reader recognises, made safe, and a digest that keeps it unique."""
    slug = re.sub(r"[^a-z0-9]+", "-", readable.lower()).strip("-")[:40].strip("-")
    digest = hashlib.sha256(repr(identity).encode()).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else f"x-{digest}"


def sections(entrants: Sequence[Entrant]) -> tuple[Section, ...]:
    """Results grouped by suite name, version, fingerprint and languages; nothing else shares a table.

    Imported figures join the table of our suite of the same texts, if it is here with the same languages and they are
    of the newest revision of the data; else they make a table of their own per task, split and revision. Suites with
    most settings and languages come first; sections of one suite stay together, newest first, and stale ones at the
    end.
    """
    groups: dict[_Key, list[Entrant]] = {}
    for entrant in entrants:
        if entrant.origin == "measured":
            groups.setdefault(_key(entrant), []).append(entrant)
    ours = {(suite, languages): key for key in sorted(groups) for suite, _, _, languages in [key]}
    for entrant in entrants:
        if entrant.origin == "imported":
            joined = ours.get((task_suite(entrant) or "", entrant.result.suite.languages))
            own = joined is None or entrant.stale
            groups.setdefault(_key(entrant) if own or joined is None else joined, []).append(entrant)
    made = _with_editions([_section(key, members) for key, members in groups.items()])
    extent: dict[str, tuple[int, int]] = {}
    for one in made:
        own_extent = (-len(settings_of(one.results)), -len(one.suite.languages))
        extent[one.suite.name] = min(own_extent, extent.get(one.suite.name, own_extent))

    def place(one: Section) -> tuple[bool, bool, tuple[int, int], str, int, int, str]:
        suite = one.suite
        named = extent[suite.name], suite.name
        return one.stale, one.published, *named, -suite.version, -len(one.entrants), one.anchor

    return tuple(sorted(made, key=place))


def _with_editions(made: Sequence[Section]) -> list[Section]:
    """The sections, each with as much in `edition` as tells it from the others of its suite's name."""
    named = [_edition(one.suite) for one in made]
    for more in (languages_in_words, lambda suite: f"data {suite.fingerprint[:8]}"):
        times = Counter((one.suite.name, edition) for one, edition in zip(made, named, strict=True))
        named = [
            f"{edition}, {more(one.suite)}" if times[one.suite.name, edition] > 1 else edition
            for one, edition in zip(made, named, strict=True)
        ]
    return [replace(one, edition=edition) for one, edition in zip(made, named, strict=True)]


def _edition(suite: SuiteReference) -> str:
    if suite.version:
        return f"version {suite.version}"
    return f"data {suite.fingerprint[:8]}" if suite.fingerprint else "unknown revision"


def languages_in_words(suite: SuiteReference) -> str:
    """The codes of a suite's languages, or how many there are."""
    codes = suite.languages
    return " ".join(codes) if len(codes) <= _MOST_LISTED else f"{len(codes)} languages"


_Key = tuple[str, int, str, tuple[str, ...]]


def _key(entrant: Entrant) -> _Key:
    suite = entrant.result.suite
    return suite.name, suite.version, suite.fingerprint, suite.languages


def _section(key: _Key, members: Sequence[Entrant]) -> Section:
    newest: dict[tuple[str, str, str], Entrant] = {}
    for entrant in sorted(members, key=lambda member: member.result.created):
        newest[entrant.encoder] = entrant
    name, version, fingerprint, languages = key
    kept = [newest[encoder] for encoder in sorted(newest)]
    return Section(
        anchor=anchor(f"{name} v{version}" if version else name, *key),
        suite=SuiteReference(name=name, version=version, fingerprint=fingerprint, languages=languages),
        entrants=_best_first(kept),
        superseded=tuple(member for member in members if member is not newest[member.encoder]),
        stale=all(member.stale for member in members),
    )


def measured_columns(means: pd.DataFrame) -> list[tuple[str, str]]:
    """The (setting, measure) of each column of a `summary_frame`."""
    settings, measures = (means.columns.get_level_values(level).astype(str) for level in ("setting", "measure"))
    return list(zip(settings, measures, strict=True))


def leading_column(named: Sequence[tuple[str, str]]) -> int | None:
    """The position of the column that encoders are ordered by: the hardest setting's primary measure."""
    settings = [setting for setting, _ in named]
    return next((settings.index(setting) for setting in (*_RANKED_BY, *settings) if setting in settings), None)


def _best_first(entrants: Sequence[Entrant]) -> tuple[Entrant, ...]:
    means = summary_frame([entrant.result for entrant in entrants])
    named = measured_columns(means)
    leading = leading_column(named)
    if leading is None:
        return tuple(entrants)
    ascending = lower_is_better(named[leading][1])
    ranked = means.iloc[:, leading].sort_values(ascending=ascending, na_position="last", kind="stable")
    return tuple(entrants[position] for position in ranked.index)


def differences(one: SuiteReference, other: SuiteReference) -> list[str]:
    """Why results on two suites of one name must not be compared."""
    reasons = []
    if one.version != other.version:
        reasons.append("the suite's version differs")
    if one.languages != other.languages:
        reasons.append("the languages differ")
    if one.fingerprint != other.fingerprint:
        reasons.append("the fingerprint of the data differs")
    return reasons


def settings_of(results: Sequence[Result]) -> list[str]:
    """The settings that results have scores or means of: the three known ones first."""
    present = {setting for result in results for setting in result.summary}
    present |= {score.setting for result in results for score in result.scores}
    return [s for s in SETTINGS if s in present] + sorted(present.difference(SETTINGS))


def scores_frame(results: Sequence[Result]) -> pd.DataFrame:
    """All scores of a section, one row each; column `encoder` is the position in `results`."""
    rows = [
        (
            encoder,
            s.setting,
            s.query_language,
            s.document_language,
            s.measure,
            s.value,
            s.queries,
            s.documents,
        )
        for encoder, result in enumerate(results)
        for s in result.scores
    ]
    names = ["encoder", "setting", "query", "document", "measure", "value", "queries", "documents"]
    return pd.DataFrame(rows, columns=names)


def summary_frame(results: Sequence[Result]) -> pd.DataFrame:
    """The means of a section: a row per encoder, a column per (setting, measure), the primary measure first.

    What an encoder was not measured by is NaN, and so is a mean that is not finite.
    """
    columns: list[tuple[str, str]] = []
    for setting in settings_of(results):
        present = {m for result in results for m in result.summary.get(setting, {})}
        primary = {result.primary.get(setting) for result in results}
        columns += [(setting, m) for m in sorted(present, key=lambda m: (m not in primary, lower_is_better(m), m))]
    values = [[result.summary.get(s, {}).get(m, math.nan) for s, m in columns] for result in results]
    settings, measures = [setting for setting, _ in columns], [measure for _, measure in columns]
    named = pd.MultiIndex.from_arrays([settings, measures], names=["setting", "measure"])
    frame = pd.DataFrame(values, columns=named, dtype=float)
    return frame.replace([math.inf, -math.inf], math.nan)


def map_measure(results: Sequence[Result], scores: pd.DataFrame) -> str | None:
    """The measure of a section's heat maps: a primary one that its diagonal and its other cells share.

    Where there is no such measure, a cross-lingual one, and the diagonal stays empty; None without cross-lingual
    scores.
    """
    measured = {setting: set(group["measure"]) for setting, group in scores.groupby("setting")}
    cross = measured.get("cross-lingual", set())
    if not cross:
        return None
    shared = cross & measured.get("monolingual", cross)
    primaries = [result.primary.get(s) for s in ("cross-lingual", "monolingual") for result in results]
    for candidates in (shared, cross):
        for measure in primaries:
            if measure in candidates:
                return measure
    return str(min(shared or cross))


def matrix(scores: pd.DataFrame, measure: str, column: str = "value") -> pd.DataFrame:
    """One encoder's table of query by document language: monolingual on the diagonal, cross-lingual off it.

    Args:
        scores: the rows of `scores_frame` of one encoder.
        measure: of which measure.
        column: what the cells hold: `value`, `queries` or `documents`.
    """
    on_diagonal = scores["query"] == scores["document"]
    wanted = (scores["setting"] == "monolingual") & on_diagonal
    wanted |= (scores["setting"] == "cross-lingual") & ~on_diagonal
    cells = scores[wanted & (scores["measure"] == measure)]
    return cells.drop_duplicates(["query", "document"]).set_index(["query", "document"])[column].unstack()


def off_diagonal(cells: pd.DataFrame) -> pd.DataFrame:
    """A matrix with its diagonal taken out, so that its means are those of the cross-lingual setting."""
    same = [[row == column for column in cells.columns] for row in cells.index]
    return cells.mask(pd.DataFrame(same, index=cells.index, columns=cells.columns))


def by_query_language(scores: pd.DataFrame, setting: str, measure: str) -> pd.Series:
    """Values of a setting that has one row per query language, averaged where it has more: index `query`."""
    wanted = (scores["setting"] == setting) & (scores["measure"] == measure)
    return scores[wanted].groupby("query")["value"].mean()
