"""Every pair of a section's encoders at once, from their stored ranks: differences, intervals, tests, rank groups.

The same figures as `xlir-bench compare` gives, from the same resamples. Resampled means and contributions are linear in
the encoder, so that each is computed once per encoder and a pair is a subtraction: the cost of a pair is small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from xlir_bench.analysis.questions import Column, Floats, Questions
from xlir_bench.errors import XlirError
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
        untested: how many of the section's encoders have no ranks, or are beyond the best `MOST_ENCODERS`.
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
    results = section.results
    whats = _whats([results[position] for position in positions])
    rows = {position: _rows(tables[position], questions, whats) for position in positions}
    samples = questions.resampled({(p, what): rows[p][what] for p in positions for what in whats})
    adds = {p: {what: _contributions(questions, rows[p][what]) for what in whats} for p in positions}
    means = {p: {what: float(np.mean([c.values.mean() for c in rows[p][what]])) for what in whats} for p in positions}
    pairs = list(combinations(positions, 2))
    tests = np.column_stack([adds[b][what] - adds[a][what] for a, b in pairs for what in whats])
    p_values = statistics.randomisation_test(tests).reshape(len(pairs), len(whats))
    adjusted = _adjusted(p_values, whats)
    contrasts: dict[tuple[int, int], dict[What, Contrast]] = {}
    for number, (a, b) in enumerate(pairs):
        drawn = np.column_stack([samples[b, what] - samples[a, what] for what in whats])
        low, high = statistics.interval(drawn)
        contrasts[a, b] = {
            what: Contrast(
                means[b][what] - means[a][what], float(low[at]), float(high[at]), float(adjusted[number, at])
            )
            for at, what in enumerate(whats)
        }
    overall = [(what[0], what[1]) for what in whats if what[2] == "*"]
    ranks, groups = _standings(contrasts, means, overall)
    return Pairwise(contrasts, ranks, groups, len(section.entrants) - len(positions))


def _tables(section: Section) -> dict[int, RankTable]:
    """Ranks of the same queries, by position; a table that cannot be read leaves its encoder untested."""
    found: dict[int, RankTable] = {}
    queries: frozenset[object] | None = None
    for position, entrant in enumerate(section.entrants):
        if entrant.path is None or len(found) >= MOST_ENCODERS:
            continue
        try:
            ranks = load_ranks(ranks_path(entrant.path))
        except XlirError:
            continue
        own = frozenset([*ranks.query_id, *ranks.unanswered.query_id])
        queries = own if queries is None else queries
        if own == queries:
            found[position] = ranks
    return found


def _whats(results: Sequence[Result]) -> list[What]:
    """What all have: every setting and measure, and each query language in primary measures."""
    first = results[0]
    whats: list[What] = []
    for setting, names in first.summary.items():
        shared = [name for name in names if all(name in r.summary.get(setting, {}) for r in results)]
        whats += [(setting, name, "*") for name in shared]
        primary = first.primary.get(setting)
        codes = {s.query_language for s in first.scores if (s.setting, s.measure) == (setting, primary)}
        if primary in shared and len(codes) > 1:
            whats += [(setting, primary, code) for code in sorted(codes)]
    return whats


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


def _adjusted(p_values: Floats, whats: Sequence[What]) -> Floats:
    """Holm over all pairs and settings, and over the languages of a setting for each pair; (pairs, whats)."""
    adjusted = np.empty_like(p_values)
    overall = [at for at, what in enumerate(whats) if what[2] == "*"]
    adjusted[:, overall] = statistics.holm(p_values[:, overall].ravel()).reshape(len(p_values), -1)
    for setting in {what[0] for what in whats}:
        own = [at for at, what in enumerate(whats) if what[0] == setting and what[2] != "*"]
        for row in range(len(p_values)):
            adjusted[row, own] = statistics.holm(p_values[row, own])
    return adjusted


def _standings(
    contrasts: Mapping[tuple[int, int], Mapping[What, Contrast]],
    means: Mapping[int, Mapping[What, float]],
    overall: Sequence[tuple[str, str]],
) -> tuple[dict[tuple[str, str], dict[int, int]], dict[tuple[str, str], dict[int, str]]]:
    ranks, groups = {}, {}
    for setting, measure in overall:
        sign = -1 if lower_is_better(measure) else 1
        score = {position: sign * means[position][setting, measure, "*"] for position in means}
        order = sorted(score, key=lambda position: -score[position])
        different = np.zeros((len(order), len(order)), dtype=np.bool_)
        for (a, b), found in contrasts.items():
            if found[setting, measure, "*"].p < SIGNIFICANT:
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
