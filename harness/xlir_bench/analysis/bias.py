"""Language bias of a run, from its ranks and the first documents of its rankings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xlir_bench.analysis.questions import Column, Floats, Questions, ends
from xlir_bench.collection import Integers
from xlir_bench.languages import Language, known
from xlir_bench.measures import equal_rank, preference, statistics
from xlir_bench.measures.preference import RelevantRanks
from xlir_bench.results import Bias
from xlir_bench.retrieval import RankTable

SHARE_CUTOFF = 10
EXPOSURE_CUTOFF = 100

GROUPS: dict[str, Callable[[Language], str]] = {
    "family": lambda language: language.family or "unknown",
    "script": lambda language: language.script,
    "resource_class": lambda language: "unknown" if language.resource_class is None else str(language.resource_class),
}

_BY_TARGET = ("limit_to_one_target", "remove_one_target", "language_advantage")

_ONE_LANGUAGE = "the pool has one language: there is none to prefer"
_NO_LEADERS = (
    "the tops of the rankings were not stored: no share, lift, exposure, AWRF, MRC, hubness; run the model again"
)
_PEER_CONSTANT = (
    "PEER on the relevant documents is the same whatever the ranking where a language has one of them; see "
    "PEER_nonrelevant and PEER_pooled"
)
_NO_VERSIONS = "no question has versions in several languages: no MRC"


def _first(means: Floats) -> Floats:
    return means[:, 0]


def _difference(means: Floats) -> Floats:
    return means[:, 0] - means[:, 1]


def _spread(means: Floats) -> Floats:
    return np.std(means, axis=1)


@dataclass(frozen=True)
class Composed:
    """A figure as a function of means: most are one mean, a gap is a difference of two.

    Attributes:
        parts: the columns of each mean, which have equal weight in it.
        combine: from the means, shape (samples, parts), to the figure, shape (samples,).
        least: the least value that it can have, where resampling would add its own noise to it; else None.
    """

    parts: tuple[list[Column], ...]
    combine: Callable[[Floats], Floats] = _first
    least: float | None = None

    @property
    def value(self) -> float:
        """The figure."""
        means = [float(np.mean([column.values.mean() for column in part])) for part in self.parts]
        return float(self.combine(np.array([means]))[0])

    def sampled(self, questions: Questions) -> Floats:
        """The figure in every bootstrap resample of the questions; (resamples,)."""
        samples = questions.resampled(dict(enumerate(self.parts)))
        values = self.combine(np.column_stack([samples[number] for number in range(len(self.parts))]))
        return values if self.least is None else _settled(values, self.value, self.least)


def _settled(samples: Floats, value: float, least: float) -> Floats:
    """Resampling adds its own noise to what cannot be below `least`: the bootstrap's estimate of that is taken off."""
    return np.maximum(least, samples - (samples.mean() - value))


@dataclass
class BiasFigures:
    """The figures of bias of one run, and what they are made of.

    Attributes:
        questions: the queries that have an answer.
        per_query: figure -> query language -> values per query.
        maps: figure -> (query language, document language) -> values per query.
        single: figure -> query language -> one value over all of its queries.
        plain: figure -> value: of the whole run.
        effects: samples of epsilon squared, the mean over query languages.
        notes: what could not be measured, and why.
    """

    questions: Questions
    per_query: dict[str, dict[str, Column]] = field(default_factory=dict)
    maps: dict[str, dict[tuple[str, str], Column]] = field(default_factory=dict)
    single: dict[str, dict[str, float]] = field(default_factory=dict)
    plain: dict[str, float] = field(default_factory=dict)
    effects: Callable[[], Floats] | None = None
    notes: list[str] = field(default_factory=list)

    def composed(self) -> dict[str, Composed]:
        """The figures that are made of values per query."""
        found = {name: Composed((list(columns.values()),)) for name, columns in self.per_query.items()}
        for name in _BY_TARGET:
            cells = self.maps.get(name, {})
            same = [column for (x, y), column in cells.items() if x == y]
            other = [column for (x, y), column in cells.items() if x != y]
            found |= {f"{name}.{part}": Composed((c,)) for part, c in (("same", same), ("other", other)) if c}
            if same and other:
                found[f"{name}.gap"] = Composed((same, other), _difference)
        advantages = self.maps.get("language_advantage", {})
        of_language = [[c for (_, d), c in advantages.items() if d == y] for y in sorted({y for _, y in advantages})]
        if of_language:
            found["language_advantage.spread"] = Composed(tuple(of_language), _spread, least=0.0)
        return found

    def cell(self, name: str, query_language: str | None, document_language: str | None) -> Composed | None:
        """A figure by language, as a mean over what is not named; None where there is none such."""
        by_query = self.per_query.get(name, {})
        if document_language is None:
            return Composed(([by_query[query_language]],)) if query_language in by_query else None
        columns = [
            column
            for (x, y), column in self.maps.get(name, {}).items()
            if query_language in (None, x) and document_language == y
        ]
        return Composed((columns,)) if columns else None


def measure_bias(ranks: RankTable) -> Bias | None:
    """Every figure of bias, with intervals; None where the run did not search all languages at once.

    Only queries with a relevant document count: the others have no answer in any language that could be preferred.
    """
    figures = figures_of_bias(ranks)
    if figures is None:
        return None
    sizes = np.array(ranks.pool_sizes, dtype=np.int64)
    shares = {code: round(float(share), 6) for code, share in zip(ranks.languages, sizes / sizes.sum(), strict=True)}
    composed = figures.composed()
    summary = {name: one.value for name, one in composed.items()}
    samples = _samples(figures, composed)
    summary.update({name: float(np.mean(list(values.values()))) for name, values in figures.single.items()})
    if figures.effects is not None:
        samples["epsilon_squared"] = figures.effects()
    return _report(figures, summary | figures.plain, samples, shares)


def figures_of_bias(ranks: RankTable) -> BiasFigures | None:
    """The figures of bias, without intervals; None where the run did not search all languages at once."""
    if not len(ranks) or not ranks.searched_everything:
        return None
    questions = Questions.answered(ranks)
    if len(ranks.languages) < 2:
        return BiasFigures(questions, notes=[_ONE_LANGUAGE])
    relevant = _relevant(ranks, questions)
    figures = BiasFigures(questions)
    _of_ranks(figures, relevant, ranks.languages)
    _of_leaders(figures, relevant, ranks)
    _pooled(figures, relevant)
    return figures


def _samples(figures: BiasFigures, composed: Mapping[str, Composed]) -> dict[str, Floats]:
    """Every figure in every resample, and the language advantage of each document language; drawn once for all."""
    parts = {(name, number): part for name, one in composed.items() for number, part in enumerate(one.parts)}
    advantages = figures.maps.get("language_advantage", {})
    for y in sorted({y for _, y in advantages}):
        parts[f"language_advantage.{y}", 0] = [column for (_, d), column in advantages.items() if d == y]
    drawn = figures.questions.resampled(parts)
    samples = {name: drawn[name, number] for name, number in parts if name not in composed}
    for name, one in composed.items():
        values = one.combine(np.column_stack([drawn[name, number] for number in range(len(one.parts))]))
        samples[name] = values if one.least is None else _settled(values, one.value, one.least)
    return samples


def _relevant(ranks: RankTable, questions: Questions) -> RelevantRanks:
    column = {code: number for number, code in enumerate(ranks.languages)}
    language = np.array([column[code] for code in ranks.document_language], dtype=np.int64)
    shape = (len(questions.number), len(column))
    tie = ranks.ahead.astype(np.int64) if ranks.ahead is not None else None
    return RelevantRanks.of(questions.at(ranks.query), language, ranks.rank_in_pool, ranks.gain, shape, tie)


def _of_ranks(figures: BiasFigures, relevant: RelevantRanks, languages: tuple[str, ...]) -> None:
    """What needs the ranks of relevant documents only."""
    last, first = np.zeros(relevant.shape[0]), np.full(relevant.shape[0], np.inf)
    np.maximum.at(last, relevant.query, relevant.rank)
    np.minimum.at(first, relevant.query, relevant.rank)
    _add_per_query(figures, "rank_distance", last - first)
    if relevant.counts.max() > 1:
        _add_per_query(figures, "PEER", equal_rank.peer(relevant))
    else:
        figures.notes.append(_PEER_CONSTANT)
    for name, measure in (
        ("limit_to_one_target", preference.limit_to_one_target),
        ("remove_one_target", preference.remove_one_target),
        ("language_advantage", preference.language_advantage),
    ):
        _add_map(figures, name, measure(relevant), languages)


def _of_leaders(figures: BiasFigures, relevant: RelevantRanks, ranks: RankTable) -> None:
    """What needs the first documents of the rankings."""
    questions = figures.questions
    if ranks.leaders is None:
        figures.notes.append(_NO_LEADERS)
        return
    languages, place = ranks.languages, ranks.leaders.place
    sizes = np.array(ranks.pool_sizes, dtype=np.int64)
    # Languages stand one after the other in the pool, so a document's place tells its language.
    column = np.searchsorted(np.cumsum(sizes), place, side="right")
    column[place < 0] = -1
    depth = min(EXPOSURE_CUTOFF, ranks.leaders.depth)
    shares = preference.language_share(column, len(languages), SHARE_CUTOFF)
    exposures = preference.exposure(column, len(languages), depth)
    target = sizes / sizes.sum()
    _add_map(figures, f"language_share@{SHARE_CUTOFF}", shares, languages)
    _add_map(figures, f"exposure@{depth}", exposures, languages)
    fairness = preference.attention_weighted_rank_fairness(exposures, target)
    _add_per_query(figures, f"AWRF@{depth}", fairness)
    own = np.array([languages.index(code) if code in languages else -1 for code in questions.language])
    lift = np.where(own >= 0, shares[np.arange(len(own)), own] / target[own], np.nan)
    _add_per_query(figures, f"same_language_lift@{SHARE_CUTOFF}", lift)
    p = equal_rank.peer_nonrelevant(column, relevant, sizes, depth)
    _add_per_query(figures, f"PEER_nonrelevant@{depth}", p)
    correlation = _rank_correlation(place[:, :SHARE_CUTOFF], questions)
    if np.isnan(correlation).all():
        figures.notes.append(_NO_VERSIONS)
    _add_per_query(figures, f"MRC@{SHARE_CUTOFF}", correlation)
    hubness = preference.occurrence_skewness(place[:, :SHARE_CUTOFF].astype(np.int64), int(sizes.sum()))
    if hubness is not None:
        figures.plain[f"hubness@{SHARE_CUTOFF}"] = hubness


def _rank_correlation(place: npt.NDArray[np.int32], questions: Questions) -> Floats:
    values = np.full(len(place), np.nan)
    order = np.argsort(questions.cluster, kind="stable")
    for versions in np.split(order, np.flatnonzero(np.diff(questions.cluster[order])) + 1):
        values[versions] = preference.rank_correlation([row[row >= 0].astype(np.int64) for row in place[versions]])
    return values


def _add_per_query(figures: BiasFigures, name: str, values: Floats) -> None:
    questions = figures.questions
    columns = {code: Column.of(rows, values[rows]) for code, rows in questions.of_language()}
    columns = {code: column for code, column in columns.items() if len(column.rows)}
    if columns:
        figures.per_query[name] = columns


def _add_map(figures: BiasFigures, name: str, values: Floats, languages: tuple[str, ...]) -> None:
    questions = figures.questions
    cells = {
        (x, y): Column.of(rows, values[rows, number])
        for x, rows in questions.of_language()
        for number, y in enumerate(languages)
    }
    figures.maps[name] = {pair: column for pair, column in cells.items() if len(column.rows)}


def _pooled(figures: BiasFigures, relevant: RelevantRanks) -> None:
    """PEER pooled over the queries of each language, and its effect size."""
    questions, p_values, effects, parts = figures.questions, {}, {}, []
    for code, rows in questions.of_language():
        inside = np.isin(relevant.query, rows)
        part = relevant.part(inside)
        p_values[code], effects[code], pooled_rank = equal_rank.pooled(part)
        parts.append(_totals(part, pooled_rank, questions.cluster, len(questions.names)))
    figures.single["PEER_pooled"] = p_values
    figures.single["epsilon_squared"] = effects
    width, groups = parts[0].shape[1], relevant.shape[1]

    def samples() -> Floats:
        drawn = statistics.bootstrap_totals(np.concatenate(parts, axis=1))
        resampled = [
            equal_rank.epsilon_squared(one[:, :groups], one[:, groups : 2 * groups], one[:, -1])
            for one in (drawn[:, begin : begin + width] for begin in range(0, drawn.shape[1], width))
        ]
        return _settled(np.mean(resampled, axis=0), float(np.mean(list(effects.values()))), 0.0)

    figures.effects = samples


def _totals(part: RelevantRanks, pooled_rank: Floats, cluster: Integers, clusters: int) -> Floats:
    """Sum and number of the pooled ranks in each question and language, and the sum of their squares.

    The ranks are those among all questions; a resample does not rank anew.
    """
    groups = part.shape[1]
    cell = cluster[part.query] * groups + part.language
    size = clusters * groups
    sums = np.bincount(cell, weights=pooled_rank, minlength=size).reshape(clusters, groups)
    counts = np.bincount(cell, minlength=size).reshape(clusters, groups)
    squares = statistics.per_cluster(cluster[part.query], pooled_rank**2, clusters)
    return np.column_stack([sums, counts, squares])


def _report(
    figures: BiasFigures, summary: dict[str, float], samples: dict[str, Floats], shares: dict[str, float]
) -> Bias:
    query_languages = {
        name: {code: round(float(column.values.mean()), 6) for code, column in columns.items()}
        for name, columns in figures.per_query.items()
    }
    for name, values in figures.single.items():
        query_languages[name] = {code: round(value, 6) for code, value in values.items()}
    maps: dict[str, dict[str, dict[str, float]]] = {}
    for name, cells in figures.maps.items():
        for (x, y), column in cells.items():
            maps.setdefault(name, {}).setdefault(x, {})[y] = round(float(column.values.mean()), 6)
    document_languages = {name: _over_query_languages(by_query) for name, by_query in maps.items()}
    sides = {"query": query_languages, "document": document_languages}
    groups = {
        axis: {
            side: {name: _grouped(values, group_of) for name, values in measures.items()}
            for side, measures in sides.items()
        }
        for axis, group_of in GROUPS.items()
    }
    per_language = {f"language_advantage.{code}" for code in shares}
    return Bias(
        summary={name: round(value, 6) for name, value in summary.items() if name not in per_language},
        intervals=ends(samples),
        query_languages=query_languages,
        document_languages=document_languages,
        maps=maps,
        groups=groups,
        pool_shares=shares,
        notes=tuple(figures.notes),
    )


def _over_query_languages(by_query: dict[str, dict[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for row in by_query.values():
        for y, value in row.items():
            values.setdefault(y, []).append(value)
    return {y: round(float(np.mean(found)), 6) for y, found in sorted(values.items())}


def _grouped(values: dict[str, float], group_of: Callable[[Language], str]) -> dict[str, float]:
    """Means over the languages of each group; a code that the table of languages does not know has none."""
    found: dict[str, list[float]] = {}
    for code, value in values.items():
        row = known(code)
        if row is not None:
            found.setdefault(group_of(row), []).append(value)
    return {group: round(float(np.mean(parts)), 6) for group, parts in sorted(found.items())}
