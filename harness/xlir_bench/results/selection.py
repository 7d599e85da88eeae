"""Which of several results on one suite are used, where they have other languages, settings or measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xlir_bench.errors import InputError, warn
from xlir_bench.languages import distinct
from xlir_bench.results.question import Question
from xlir_bench.results.schema import Result, SuiteReference

Sides = Sequence[Sequence[tuple[str, Result]]]
"""What is compared, each with its results and what to call them in a message."""


def choose(sides: Sides, languages: Sequence[str] | None = None) -> list[list[int]]:
    """The results that are used, of each side, by position. One line on stderr says which are left out.

    Of results on one version of a suite with more and with fewer languages, those on the most languages that every side
    has are used, and of one model on the same data that with the most figures. Results of which none is a part of the
    other, such as those on two collections of one name, are all used.

    Args:
        sides: the results. A side without any result on a suite has no say in it.
        languages: only results on exactly these languages.

    Raises:
        InputError: a side has no result on these languages.
    """
    kept = [list(range(len(side))) for side in sides]
    if languages is not None:
        kept = [_on_languages(side, languages) for side in sides]
    for name, version in dict.fromkeys((r.suite.name, r.suite.version) for side in sides for _, r in side):
        kept = _on_most_languages(sides, kept, (name, version))
    kept = [_with_most_figures(side, places, _shared(sides, kept)) for side, places in zip(sides, kept, strict=True)]
    left_out = [
        f"{place} ({Question.of(result).in_words()})"
        for side, places in zip(sides, kept, strict=True)
        for at, (place, result) in enumerate(side)
        if at not in places and (languages is None or _codes(languages) == set(result.suite.languages))
    ]
    if left_out:
        warn(
            f"left out: {'; '.join(left_out)}. Of results on one suite the fullest that all have is used: give "
            "--languages or a file to choose"
        )
    return kept


def _codes(languages: Sequence[str]) -> set[str]:
    return set(distinct(languages, "languages"))


def _on_languages(side: Sequence[tuple[str, Result]], languages: Sequence[str]) -> list[int]:
    codes = _codes(languages)
    found = [at for at, (_, result) in enumerate(side) if set(result.suite.languages) == codes]
    if side and not found:
        there = "; ".join(dict.fromkeys(" ".join(result.suite.languages) for _, result in side))
        raise InputError(
            f"{side[0][1].model.name} has no result on {' '.join(sorted(codes))} alone; it has results on {there}"
        )
    return found


def _on_most_languages(sides: Sides, kept: list[list[int]], suite: tuple[str, int]) -> list[list[int]]:
    """The positions without those of results on a part of the languages, or on more than every side has."""
    data = [
        {side[at][1].suite for at in places if (side[at][1].suite.name, side[at][1].suite.version) == suite}
        for side, places in zip(sides, kept, strict=True)
    ]
    common = set.intersection(*(found for found in data if found)) if any(data) else set()
    chosen = {one for one in common if not any(_is_part(one, other) for other in common)}

    def stays(one: SuiteReference, beside: set[SuiteReference]) -> bool:
        if (one.name, one.version) != suite:
            return True
        if chosen:
            return one in chosen or not any(_is_part(one, other) or _is_part(other, one) for other in chosen)
        return not any(_is_part(one, other) for other in beside)

    return [
        [at for at in places if stays(side[at][1].suite, beside)]
        for side, places, beside in zip(sides, kept, data, strict=True)
    ]


def _is_part(one: SuiteReference, other: SuiteReference) -> bool:
    return set(one.languages) < set(other.languages)


def _figures(result: Result) -> set[tuple[str, str]]:
    return {(setting, name) for setting, names in Question.of(result).settings.items() for name in names}


def _shared(sides: Sides, kept: list[list[int]]) -> dict[SuiteReference, set[tuple[str, str]]]:
    """Of each suite, the setting and measure of every figure that each side with results on it has."""
    shared: dict[SuiteReference, set[tuple[str, str]]] = {}
    for side, places in zip(sides, kept, strict=True):
        mine: dict[SuiteReference, set[tuple[str, str]]] = {}
        for at in places:
            mine.setdefault(side[at][1].suite, set()).update(_figures(side[at][1]))
        for suite, figures in mine.items():
            shared[suite] = shared.get(suite, figures) & figures
    return shared


def _with_most_figures(
    side: Sequence[tuple[str, Result]], places: list[int], shared: dict[SuiteReference, set[tuple[str, str]]]
) -> list[int]:
    """The positions without those of results that another of the same model on the same data is preferred to."""
    best: dict[tuple[SuiteReference, str, str], Result] = {}

    def rank(result: Result) -> tuple[int, int, str]:
        figures = _figures(result)
        return len(figures & shared[result.suite]), len(figures), result.created

    def key(result: Result) -> tuple[SuiteReference, str, str]:
        return result.suite, result.model.name, result.model.fingerprint

    for at in places:
        result = side[at][1]
        if key(result) not in best or rank(result) > rank(best[key(result)]):
            best[key(result)] = result
    chosen = [at for at in places if _figures(side[at][1]) == _figures(best[key(side[at][1])])]
    # A process that was stopped while it moved a result leaves it at both places.
    once = {(Path(side[at][0]).parent, key(side[at][1]), side[at][1].created): side[at][0] for at in chosen}
    return [at for at in chosen if side[at][0] in once.values()]
