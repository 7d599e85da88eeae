"""Results as tables for a paper: which are chosen, with which names, and with intervals or letters from their ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from xlir_bench.analysis.compare import SIGNIFICANT, Run, standings
from xlir_bench.errors import InputError, printable, unknown_name
from xlir_bench.languages import distinct
from xlir_bench.results import Result
from xlir_bench.results.exchange import Entry, Layout, Mark, as_latex, groups_of

Show = Literal["intervals", "letters"]

_NOTES = {
    "intervals": "95 % intervals by cluster bootstrap over questions.",
    "letters": "Encoders with a letter in common are not told apart: paired randomisation test over questions, "
    f"Holm-adjusted over all pairs and figures of the table, p < {SIGNIFICANT}.",
}


@dataclass(frozen=True)
class Choice:
    """What is chosen of some results.

    Attributes:
        suites, settings, languages: only these; None is all.
        names: see `Layout`.
        by_language: see `Layout`.
        show: what stands beside each mean.
    """

    suites: tuple[str, ...] | None = None
    settings: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    names: dict[str, str] = field(default_factory=dict)
    by_language: bool = False
    show: Show | None = None


def paper_tables(entries: Sequence[Entry], choice: Choice) -> str:
    """LaTeX tables of some results.

    Raises:
        InputError: something that is chosen or named is not there, or the results cannot be compared.
        MissingResourceError: intervals or letters are asked for, and a result has no ranks.
    """
    chosen = _chosen(entries, choice)
    languages = None if choice.languages is None else tuple(distinct(choice.languages, "--languages"))
    results = [entry.result for entry in chosen]
    _check_languages(results, languages)
    _check_names(results, choice.names)
    layout = Layout(choice.names, languages, choice.by_language, _NOTES[choice.show] if choice.show else "")
    marks = {} if choice.show is None else _marks(chosen, layout, choice.show)
    return as_latex(results, layout, marks)


def _chosen(entries: Sequence[Entry], choice: Choice) -> list[Entry]:
    """The results of the chosen suites, with the chosen settings."""
    there = {name: None for entry in entries for name in (entry.result.suite.name, entry.suite)}
    for name in choice.suites or ():
        if name not in there:
            raise unknown_name("suite", name, there, f"there are results of {', '.join(there)}")
    found = [
        entry
        for entry in entries
        if choice.suites is None or {entry.suite, entry.result.suite.name} & set(choice.suites)
    ]
    if choice.settings is None:
        return found
    for setting in choice.settings:
        if not any(setting in entry.result.summary for entry in found):
            raise InputError(f"no result has the {setting} setting: leave it out of --settings")
    return [replace(entry, result=_with_settings(entry.result, choice.settings)) for entry in found]


def _with_settings(result: Result, settings: tuple[str, ...]) -> Result:
    summary = {name: values for name, values in result.summary.items() if name in settings}
    scores = tuple(score for score in result.scores if score.setting in settings)
    return result.model_copy(update={"summary": summary, "scores": scores})


def _check_languages(results: Sequence[Result], languages: tuple[str, ...] | None) -> None:
    there = sorted({score.query_language for result in results for score in result.scores})
    for code in languages or ():
        if code not in there:
            raise InputError(f"no result has queries in {code}; there are {', '.join(there)}")


def _check_names(results: Sequence[Result], names: dict[str, str]) -> None:
    """Refuse a display name for something that is in no table."""
    known: dict[str, None] = {}
    for result in results:
        known |= dict.fromkeys([result.model.name, result.suite.name, *result.suite.languages])
        for setting, values in result.summary.items():
            known |= dict.fromkeys([setting, *values])
    for name in names:
        if name not in known:
            raise unknown_name("name", name, known, f"there are {printable(', '.join(known), 400)}")


def _marks(entries: Sequence[Entry], layout: Layout, show: Show) -> dict[tuple[int, tuple[str, str, str]], Mark]:
    found = {}
    for positions in groups_of([entry.result for entry in entries]):
        runs = {at: Run(entries[at].result.model.name, entries[at].result, entries[at].ranks()) for at in positions}
        if show == "letters":
            place_of = {run.name: at for at, run in runs.items()}
            for one in standings(list(runs.values()), by_language=layout.by_language, languages=layout.languages):
                place = (one.setting, one.measure, one.query_language)
                found[place_of[one.encoder], place] = Mark(letters=one.groups)
            continue
        for at, run in runs.items():
            for one in standings([run], by_language=layout.by_language, languages=layout.languages):
                found[at, (one.setting, one.measure, one.query_language)] = Mark(interval=one.interval)
    return found
