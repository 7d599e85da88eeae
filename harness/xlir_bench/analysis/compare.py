"""Encoders against one another, from the ranks that their runs left: differences, intervals, tests, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from xlir_bench.analysis.analyse import cells
from xlir_bench.analysis.comparison import Comparison, Difference, QueryDifference, Standing
from xlir_bench.analysis.questions import Column, Floats, Questions, ends
from xlir_bench.analysis.verified import load_verified
from xlir_bench.errors import InputError, warn
from xlir_bench.measures import parse, statistics
from xlir_bench.results import Result
from xlir_bench.retrieval import RankTable

SIGNIFICANT = 0.05
"""Adjusted p below which two encoders count as told apart."""

LISTED = 5
"""Queries shown at each end."""

_EVERY = "*"


@dataclass(frozen=True)
class Run:
    """One encoder's stored run."""

    name: str
    result: Result
    ranks: RankTable


def load_run(path: Path) -> Run:
    """A run from its result file; the ranks lie beside it.

    Raises:
        MissingResourceError: one of the files is not there.
        InputError: one of them is not what it should be, or a figure of the result does not follow from the ranks.
    """
    result, ranks = load_verified(path)
    return Run(result.model.name, result, ranks)


def warn_of_similarities(runs: Sequence[Run]) -> None:
    """Warn where vectors were not compared in the same way in all runs; those that do not state it do not count."""
    found: dict[str, list[str]] = {}
    for run in runs:
        if run.result.model.similarity is not None:
            names = found.setdefault(run.result.model.similarity, [])
            names += [run.name] if run.name not in names else []
    if len(found) > 1:
        said = "; ".join(f"{similarity}: {', '.join(names)}" for similarity, names in found.items())
        warn(f"the runs were measured with different similarities ({said})")


def compare(runs: Sequence[Run]) -> Comparison:
    """Every pair of runs of one suite, the earlier as A.

    Raises:
        InputError: fewer than two runs, two of one name, runs of different data, or no setting in common.
    """
    _check(runs)
    warn_of_similarities(runs)
    first = runs[0].result
    measured = _measured(runs)
    questions = Questions.of(runs[0].ranks)
    tables = {what: _Table.of(runs, questions, *what) for what in measured}
    pairs = list(combinations(range(len(runs)), 2))
    overall = [
        d for pair in pairs for d in _differences(tables, questions, pair, [(*w, _EVERY, _EVERY) for w in measured])
    ]
    overall = _adjusted(overall)
    primary = [(setting, name) for setting, name in measured if name == first.primary.get(setting)]
    by_language: list[Difference] = []
    gains: list[QueryDifference] = []
    losses: list[QueryDifference] = []
    for pair in pairs:
        for what in primary:
            by_language += _per_language(tables, questions, pair, what)
            ends_of = _per_query(tables[what], questions, pair)
            losses += [entry for entry in ends_of if entry.gain < 0]
            gains += [entry for entry in reversed(ends_of) if entry.gain > 0]
    return Comparison(
        suite=first.suite.name,
        version=first.suite.version,
        languages=first.suite.languages,
        questions=len(questions.names),
        standings=tuple(_standings(tables, questions, overall, [(*what, _EVERY, _EVERY) for what in measured])),
        settings=tuple(overall),
        by_language=tuple(by_language),
        gains=tuple(gains),
        losses=tuple(losses),
        same_model=tuple((one.name, other.name) for one, other in _of_one_model(runs)),
        notices=tuple(_notice(one, other) for one, other in _of_one_model(runs)),
    )


def standings(
    runs: Sequence[Run], *, by_language: bool = False, languages: Sequence[str] | None = None
) -> tuple[Standing, ...]:
    """Means with intervals and letters. One Holm family: every pair of runs in every figure.

    Args:
        runs: of one suite; a single one has no one to be told apart from.
        by_language: of each setting's primary measure only, the mean and a figure for each query language.
        languages: only rows with queries in these, and with documents in these where a row is of one document language.

    Raises:
        InputError: see `compare`; or there is no row in the languages.
    """
    if len(runs) > 1:
        _check(runs)
    questions, primary = Questions.of(runs[0].ranks), runs[0].result.primary
    measured = [what for what in _measured(runs) if not by_language or primary.get(what[0]) == what[1]]
    tables = {what: _Table.of(runs, questions, *what).only(languages) for what in measured}
    wanted: list[_What] = []
    for what, table in tables.items():
        if table.cells[0]:
            codes = sorted({x for x, _ in table.cells[0]}) if by_language else []
            wanted += [(*what, code, _EVERY) for code in (*codes, _EVERY)]
    if not wanted:
        raise InputError("there is no row in these languages")
    pairs = combinations(range(len(runs)), 2)
    differences = _adjusted([d for pair in pairs for d in _differences(tables, questions, pair, wanted)])
    return tuple(_standings(tables, questions, differences, wanted))


def _measured(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """The settings and measures that all runs have."""
    found = [
        (setting, name)
        for setting, names in runs[0].result.summary.items()
        for name in names
        if all(name in run.result.summary.get(setting, {}) for run in runs)
    ]
    if not found:
        raise InputError("the runs have no setting and measure in common; run them with the same settings")
    return found


def _of_one_model(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    return [
        (one, other)
        for one, other in combinations(runs, 2)
        if one.result.model.fingerprint and one.result.model.fingerprint == other.result.model.fingerprint
    ]


def _notice(one: Run, other: Run) -> str:
    names, digits = f"{one.name} and {other.name}", one.result.model.fingerprint[:12]
    if np.array_equal(one.ranks.outranked, other.ranks.outranked):
        return f"{names} are the same model (fingerprint {digits}): nothing was compared"
    return (
        f"{names} are the same model (fingerprint {digits}) but rank differently: what changed is not part of the "
        "fingerprint, such as weights that code loads, a package, or a server"
    )


@dataclass(frozen=True)
class _Table:
    """One measure in one setting, of every run.

    Attributes:
        names: of the runs.
        setting, measure: what was measured.
        cells: per run, the rows of the setting by (query language, document language).
        sign: 1 where more is better, -1 where less is.
    """

    names: tuple[str, ...]
    setting: str
    measure: str
    cells: tuple[Mapping[tuple[str, str], Column], ...]
    sign: int

    @staticmethod
    def of(runs: Sequence[Run], questions: Questions, setting: str, measure: str) -> _Table:
        of_runs = tuple(cells(run.ranks, questions, setting, measure) for run in runs)
        sign = 1 if parse(measure).definition.higher_is_better else -1
        return _Table(tuple(run.name for run in runs), setting, measure, of_runs, sign)

    def only(self, languages: Sequence[str] | None) -> _Table:
        """The rows whose languages are all among some; None is all."""
        if languages is None:
            return self
        kept = {*languages, _EVERY}
        return replace(
            self,
            cells=tuple({pair: column for pair, column in of.items() if kept.issuperset(pair)} for of in self.cells),
        )

    def chosen(self, run: int, query_language: str, document_language: str) -> list[Column]:
        """The rows that two languages name; "*" names all."""
        return [
            column
            for (x, y), column in self.cells[run].items()
            if query_language in (_EVERY, x) and document_language in (_EVERY, y)
        ]


_Tables = Mapping[tuple[str, str], _Table]
_What = tuple[str, str, str, str]


def _check(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise InputError("a comparison needs two results at least; give two files or folders")
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            same = len({run.result.model.fingerprint for run in runs if run.name == name}) == 1
            what = f" with one fingerprint: the same model {names.count(name)} times" if same else ""
            raise InputError(f"{name} occurs twice{what}; every result of a comparison must be of another model")
    first = runs[0]
    for other in runs[1:]:
        for what in ("name", "version", "fingerprint", "languages"):
            mine, theirs = getattr(first.result.suite, what), getattr(other.result.suite, what)
            if mine != theirs:
                raise InputError(
                    f"{first.name} and {other.name} were not measured on the same data: suite {what} {mine!r} and "
                    f"{theirs!r}; run one of them again"
                )
        if not np.array_equal(Questions.of(first.ranks).query_id, Questions.of(other.ranks).query_id):
            raise InputError(
                f"the ranks of {first.name} and {other.name} are of different queries; run one of them again"
            )


def _differences(
    tables: _Tables, questions: Questions, pair: tuple[int, int], wanted: Sequence[_What]
) -> list[Difference]:
    """The differences of a pair in what (setting, measure, query language, document language) names; p not adjusted."""
    deltas: dict[_What, list[Column]] = {}
    means: dict[_What, tuple[float, float]] = {}
    for what in wanted:
        a, b = (tables[what[:2]].chosen(run, *what[2:]) for run in pair)
        deltas[what] = [Column(left.rows, right.values - left.values) for left, right in zip(a, b, strict=True)]
        means[what] = (_macro(a), _macro(b))
    contributions = [_contributions(questions, columns_of) for columns_of in deltas.values()]
    p = statistics.randomisation_test(np.column_stack(contributions))
    intervals = ends(questions.resampled(deltas))
    found = []
    for number, what in enumerate(wanted):
        table, gained = tables[what[:2]], means[what][1] - means[what][0]
        taking_part = np.unique(np.concatenate([questions.cluster[column.rows] for column in deltas[what]]))
        found.append(
            Difference(
                a=table.names[pair[0]],
                b=table.names[pair[1]],
                setting=what[0],
                measure=what[1],
                query_language=what[2],
                document_language=what[3],
                mean_a=means[what][0],
                mean_b=means[what][1],
                difference=gained,
                interval=intervals[what],
                p=float(p[number]),
                adjusted_p=float(p[number]),
                effect_size=statistics.effect_size(contributions[number][taking_part]),
                better=None if gained == 0 else gained * table.sign > 0,
            )
        )
    return found


def _macro(rows: Sequence[Column]) -> float:
    return float(np.mean([column.values.mean() for column in rows]))


def _contributions(questions: Questions, deltas: Sequence[Column]) -> Floats:
    """What each question adds to the macro-averaged difference; (questions,)."""
    sums, counts = questions.totals(deltas)
    return (sums / (counts.sum(axis=0) * len(deltas))).sum(axis=1)


def _adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """With the adjusted p; neither side is the better one of a difference that may be chance."""
    adjusted = statistics.holm([difference.p for difference in differences])
    return [
        replace(d, adjusted_p=float(p), better=d.better if p < SIGNIFICANT else None)
        for d, p in zip(differences, adjusted, strict=True)
    ]


def _per_language(
    tables: _Tables, questions: Questions, pair: tuple[int, int], what: tuple[str, str]
) -> list[Difference]:
    """Differences for each query language, then for each document language, the greatest gain of each side first."""
    table, found = tables[what], []
    for side in (0, 1):
        codes = sorted({key[side] for key in table.cells[0]})
        if side == 1 and table.setting != "cross-lingual":
            continue  # the same rows as by query language, or the whole pool
        wanted = [(*what, code, _EVERY) if side == 0 else (*what, _EVERY, code) for code in codes]
        differences = _adjusted(_differences(tables, questions, pair, wanted))
        found += sorted(differences, key=lambda difference: -table.sign * difference.difference)
    return found


def _per_query(table: _Table, questions: Questions, pair: tuple[int, int]) -> list[QueryDifference]:
    """The queries at both ends, from the greatest loss to the greatest gain."""
    totals, counts = np.zeros((2, len(questions.number))), np.zeros(len(questions.number))
    for key, left in table.cells[pair[0]].items():
        np.add.at(counts, left.rows, 1)
        np.add.at(totals[0], left.rows, left.values)
        np.add.at(totals[1], left.rows, table.cells[pair[1]][key].values)
    rows = np.flatnonzero(counts)
    means = totals[:, rows] / counts[rows]
    gain = table.sign * (means[1] - means[0])
    order = np.argsort(gain, kind="stable")
    return [
        QueryDifference(
            a=table.names[pair[0]],
            b=table.names[pair[1]],
            setting=table.setting,
            measure=table.measure,
            query_id=str(questions.query_id[rows[at]]),
            query_language=str(questions.language[rows[at]]),
            value_a=float(means[0, at]),
            value_b=float(means[1, at]),
            gain=float(gain[at]),
        )
        for at in np.concatenate([order[:LISTED], order[max(LISTED, len(order) - LISTED) :]])
    ]


def _standings(
    tables: _Tables, questions: Questions, differences: Sequence[Difference], wanted: Sequence[_What]
) -> list[Standing]:
    """Ranks and letters of each figure from the adjusted tests, the best first."""
    figures = {
        (what, run): tables[what[:2]].chosen(run, *what[2:])
        for what in wanted
        for run in range(len(tables[what[:2]].names))
    }
    intervals = ends(questions.resampled(figures))
    found = []
    for what in wanted:
        table = tables[what[:2]]
        names = list(table.names)
        different = np.zeros((len(names), len(names)), dtype=np.bool_)
        for d in differences:
            about = (d.setting, d.measure, d.query_language, d.document_language)
            if about == what and d.adjusted_p < SIGNIFICANT:
                a, b = names.index(d.a), names.index(d.b)
                different[a, b] = different[b, a] = True
        means = [_macro(figures[what, run]) for run in range(len(names))]
        ranks = statistics.shared_ranks([table.sign * mean for mean in means], different)
        order = sorted(range(len(names)), key=lambda run: -table.sign * means[run])
        letters = dict.fromkeys(order, "")
        for letter, group in enumerate(statistics.groups(different[np.ix_(order, order)])):
            for member in group:
                letters[order[member]] += _letter(letter)
        setting, measure, x, _ = what
        found += [
            Standing(names[run], setting, measure, means[run], intervals[what, run], ranks[run], letters[run], x)
            for run in order
        ]
    return found


def _letter(number: int) -> str:
    """a, b, ..., z, a1, b1, ..."""
    return chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "")
