"""Every pair of a section's encoders at once, from their stored ranks: differences, intervals, tests, rank groups.

The same figures as `xlir-bench compare` gives, from the same resamples. Resampled means and contributions are linear in
the encoder, so that each is computed once per encoder and a pair is a subtraction: the cost of a pair is small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby

import numpy as np

from xlir_bench.analysis.questions import Column, Floats, Questions
from xlir_bench.errors import XlirError, warn
from xlir_bench.leaderboard.collect import Section
from xlir_bench.leaderboard.wording import lower_is_better
from xlir_bench.measures import parse, statistics
from xlir_bench.results import Result, load_ranks, ranks_path
from xlir_bench.retrieval import RankTable

SIGNIFICANT = 0.05
"""Adjusted p below which two encoders count as told apart."""

MOST_ENCODERS = 24
"""The best ones of a section that are tested against one another: 276 pairs."""

What = tuple[str, str, str]
"""Setting, measure, and a query language or "*" for all."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """What the second encoder of a pair gains on the first: difference, 95 % interval, and adjusted p."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Pairwise:
    """Of one section; encoders are positions in its entrants.

    Attributes:
        contrasts: of each pair (earlier, later), what it was compared in -> the contrast.
        ranks: per setting and measure, of each tested encoder its rank: 1 + those better and told apart from it.
        groups: the same for its letters: two encoders with a letter in common are not told apart.
        untested: how many of the section's encoders have no ranks, have no setting in common with another, or are
            beyond the best `MOST_ENCODERS`.
    """

    contrasts: Mapping[tuple[int, int], Mapping[What, Contrast]] = field(default_factory=dict)
    ranks: Mapping[tuple[str, str], Mapping[int, int]] = field(default_factory=dict)
    groups: Mapping[tuple[str, str], Mapping[int, str]] = field(default_factory=dict)
    untested: int = 0


def pairwise(section: Section) -> Pairwise:
    """Test every pair of the section's encoders that left their ranks, the best `MOST_ENCODERS` of them.

    Adjusted p is Holm's over all pairs, settings and measures; differences by query language, of primary measures
    alone, are a family of their own per pair and setting.
    """
    tables = _tables(section)
    if len(tables) < 2:
        return Pairwise(untested=len(section.entrants))
    positions = list(tables)
    questions = Questions.of(tables[positions[0]])
    whats = _whats({position: section.results[position] for position in positions})
    rows = {position: _rows(tables[position], questions, whats[position]) for position in positions}
    samples = questions.resampled({(p, what): rows[p][what] for p in positions for what in whats[p]})
    adds = {p: {what: _contributions(questions, rows[p][what]) for what in whats[p]} for p in positions}
    means = {p: {w: float(np.mean([c.values.mean() for c in rows[p][w]])) for w in whats[p]} for p in positions}
    tested = [(a, b, what) for a, b in combinations(positions, 2) for what in whats[a] if what in rows[b]]
    if not tested:
        return Pairwise(untested=len(section.entrants))
    p_values = statistics.randomisation_test(np.column_stack([adds[b][what] - adds[a][what] for a, b, what in tested]))
    adjusted = _adjusted(p_values, tested)
    contrasts: dict[tuple[int, int], dict[What, Contrast]] = {}
    for (a, b), group in groupby(range(len(tested)), lambda at: tested[at][:2]):
        own = list(group)
        drawn = np.column_stack([samples[b, tested[at][2]] - samples[a, tested[at][2]] for at in own])
        low, high = statistics.interval(drawn)
        contrasts[a, b] = {
            (what := tested[at][2]): Contrast(
                means[b][what] - means[a][what], float(low[place]), float(high[place]), float(adjusted[at])
            )
            for place, at in enumerate(own)
        }
    ranks, groups = _standings(contrasts, means)
    told = {position for pair in contrasts for position in pair}
    return Pairwise(contrasts, ranks, groups, len(section.entrants) - len(told))


def _tables(section: Section) -> dict[int, RankTable]:
    """Ranks of the same queries, by position; a table that cannot be read is named and leaves its encoder untested."""
    found: dict[int, RankTable] = {}
    queries: frozenset[object] | None = None
    for position, entrant in enumerate(section.entrants):
        if entrant.path is None or len(found) >= MOST_ENCODERS:
            continue
        try:
            ranks = load_ranks(ranks_path(entrant.path))
        except XlirError as error:
            warn(f"{error}; its encoder is not tested against others")
            continue
        own = frozenset([*ranks.query_id, *ranks.unanswered.query_id])
        queries = own if queries is None else queries
        if own == queries:
            found[position] = ranks
    return found


def _whats(results: Mapping[int, Result]) -> dict[int, list[What]]:
    """What each was measured in: every setting and measure, and each query language in the primary measures.

    The primary measure of a setting is that of the first result that has the setting, so that it is one for all.
    """
    primary: dict[str, str] = {}
    for result in results.values():
        for setting, measure in result.primary.items():
            primary.setdefault(setting, measure)
    found: dict[int, list[What]] = {}
    for position, result in results.items():
        found[position] = whats = []
        for setting, names in result.summary.items():
            whats += [(setting, name, "*") for name in names]
            first = primary.get(setting)
            codes = {s.query_language for s in result.scores if (s.setting, s.measure) == (setting, first)}
            if first in names and len(codes) > 1:
                whats += [(setting, first, code) for code in sorted(codes)]
    return found


def _rows(ranks: RankTable, questions: Questions, whats: Sequence[What]) -> dict[What, list[Column]]:
    """The rows of a setting that each comparison is over; rows are cut, and every measure is computed, once."""
    made: dict[tuple[str, str], list[tuple[str, Column]]] = {}
    for setting in dict.fromkeys(what[0] for what in whats):
        measures = {what[1]: parse(what[1]) for what in whats if what[0] == setting}
        for row in ranks.rows(setting):  # type: ignore[arg-type]
            for name, measure in measures.items():
                numbers, values = row.values(measure)
                if len(numbers):
                    column = Column(questions.at(numbers), values)
                    made.setdefault((setting, name), []).append((row.query_language, column))
    return {
        (setting, measure, code): [column for language, column in made[setting, measure] if code in ("*", language)]
        for setting, measure, code in whats
    }


def _contributions(questions: Questions, rows: Sequence[Column]) -> Floats:
    """What each question adds to the macro-average; (questions,)."""
    sums, counts = questions.totals(rows)
    return (sums / (counts.sum(axis=0) * len(rows))).sum(axis=1)


def _adjusted(p_values: Floats, tested: Sequence[tuple[int, int, What]]) -> Floats:
    """Holm over all pairs and settings, and over the languages of a setting for each pair; (tested,)."""
    families: dict[tuple[object, ...], list[int]] = {}
    for at, (a, b, (setting, _, language)) in enumerate(tested):
        families.setdefault(() if language == "*" else (a, b, setting), []).append(at)
    adjusted = np.empty_like(p_values)
    for members in families.values():
        adjusted[members] = statistics.holm(p_values[members])
    return adjusted


def _standings(
    contrasts: Mapping[tuple[int, int], Mapping[What, Contrast]],
    means: Mapping[int, Mapping[What, float]],
) -> tuple[dict[tuple[str, str], dict[int, int]], dict[tuple[str, str], dict[int, str]]]:
    ranks, groups = {}, {}
    overall = dict.fromkeys(what[:2] for found in contrasts.values() for what in found if what[2] == "*")
    for setting, measure in overall:
        sign = -1 if lower_is_better(measure) else 1
        what = setting, measure, "*"
        score = {position: sign * own[what] for position, own in means.items() if what in own}
        order = sorted(score, key=lambda position: -score[position])
        different = np.zeros((len(order), len(order)), dtype=np.bool_)
        for (a, b), found in contrasts.items():
            if what in found and found[what].p < SIGNIFICANT:
                i, j = order.index(a), order.index(b)
                different[i, j] = different[j, i] = True
        shared = statistics.shared_ranks([score[position] for position in order], different)
        ranks[setting, measure] = dict(zip(order, shared, strict=True))
        letters = dict.fromkeys(order, "")
        for number, group in enumerate(statistics.groups(different)):
            for member in group:
                letters[order[member]] += chr(ord("a") + number) if number < 26 else f"a{number - 25}"
        groups[setting, measure] = letters
    return ranks, groups
