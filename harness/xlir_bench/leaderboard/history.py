"""How an encoder's figures changed over runs: harness versions and suite versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from xlir_bench.leaderboard.collect import Section, languages_in_words, leading_column
from xlir_bench.leaderboard.encoder_view import cell
from xlir_bench.leaderboard.entrant import Entrant
from xlir_bench.leaderboard.roster import Roster
from xlir_bench.leaderboard.table import Cell
from xlir_bench.leaderboard.wording import decimals, lower_is_better, measure_name, number
from xlir_bench.results import Result


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `change` is against the run before it on the same data; empty where there is none to compare with."""

    created: str
    harness: str
    suite: str
    languages: str
    data: str
    fingerprint: str
    value: Cell
    change: str
    better: bool | None


@dataclass(frozen=True, slots=True)
class Line:
    """An encoder on a suite, over time: the measure that is followed, and the runs, the earliest first."""

    encoder: str
    page: str
    suite: str
    measure: str
    runs: tuple[Run, ...]


def history(sections: Sequence[Section], roster: Roster) -> list[Line]:
    """Every measured encoder and suite of several runs, over all versions of the suite."""
    found: dict[tuple[str, str], list[Entrant]] = defaultdict(list)
    for section in sections:
        for entrant in (*section.entrants, *section.superseded):
            if entrant.origin == "measured":
                found[entrant.result.model.id, section.suite.name].append(entrant)
    lines = []
    for (_, suite), entrants in sorted(found.items()):
        if len(entrants) > 1:
            ordered = sorted(entrants, key=lambda entrant: entrant.result.created)
            newest = roster[ordered[-1].encoder]
            what = followed([entrant.result for entrant in ordered])
            if what is not None:
                runs = tuple(_runs([entrant.result for entrant in ordered], *what))
                name = f"{measure_name(what[1])}, {what[0]}"
                lines.append(Line(newest.title, newest.page, suite, name, runs))
    return lines


def followed(results: Sequence[Result]) -> tuple[str, str] | None:
    """The setting and measure that all have: of the hardest setting the primary one."""
    shared = [
        (setting, measure)
        for setting, measures in results[0].summary.items()
        for measure in measures
        if all(measure in result.summary.get(setting, {}) for result in results)
    ]
    shared.sort(key=lambda what: what[1] != results[0].primary.get(what[0]))
    leading = leading_column(shared)
    return None if leading is None else shared[leading]


def _runs(results: Sequence[Result], setting: str, measure: str) -> list[Run]:
    made: list[Run] = []
    places = decimals(measure)
    last: dict[tuple[int, str, tuple[str, ...]], float] = {}
    for result in results:
        value = result.summary[setting][measure]
        data = (result.suite.version, result.suite.fingerprint, result.suite.languages)
        difference = value - last[data] if data in last else None
        last[data] = value
        changed = difference is not None and round(difference, places) != 0
        sign = "+" if difference is not None and difference > 0 else ""
        made.append(
            Run(
                created=result.created,
                harness=result.harness.get("version", "unknown"),
                suite=str(result.suite.version),
                languages=languages_in_words(result.suite),
                data=result.suite.fingerprint[:8],
                fingerprint=result.model.fingerprint[:8],
                value=cell(value, places, (result.intervals or {}).get(setting, {}).get(measure)),
                change=f"{sign}{number(difference, places)}" if difference is not None else "",
                better=(difference > 0) != lower_is_better(measure) if changed and difference is not None else None,
            )
        )
    return made
