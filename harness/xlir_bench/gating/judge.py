"""The gate: rules in, verdicts out. Pair, measure, test, judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xlir_bench.analysis import Run, warn_of_similarities
from xlir_bench.analysis.latex import figure as written
from xlir_bench.errors import InputError
from xlir_bench.gating.checks import Asked, expand
from xlir_bench.gating.figures import Loss, Pair, intervals, p_values
from xlir_bench.gating.policy import Policy
from xlir_bench.gating.verdict import Check, Figure, GateReport, Side, Verdict
from xlir_bench.measures import parse, statistics
from xlir_bench.results import Result, distinct_names, name_of_data

_EQUAL = 1e-12
"""Sums of the same numbers in another order may differ in their last digits."""


@dataclass(frozen=True)
class Evidence:
    """A loss with what the statistics say of it; p where a budget asks for it."""

    loss: Loss
    interval: tuple[float, float]
    p: float | None = None
    adjusted_p: float | None = None


def gate(candidate: Sequence[Run], baseline: Sequence[Run], policy: Policy) -> GateReport:
    """Hold a candidate's runs against a baseline's.

    A check fails where the loss passes the budget and the paired randomisation test by question, Holm-adjusted over
    all checks with a budget, says that there is a loss; where the figure is past its floor; or where the candidate has
    no such figure.

    Args:
        candidate: one encoder's runs, at most one of each suite.
        baseline: likewise, of what the candidate is to replace.
        policy: the rules.

    Raises:
        InputError: runs of several encoders, or several of one suite, on one side; a baseline of another version of a
            suite or of other data; a rule that could never fail.
    """
    names = _names(candidate, baseline)
    mine, theirs = _by_suite(candidate, "candidate", names), _by_suite(baseline, "baseline", names)
    warn_of_similarities([*candidate, *baseline])
    asked = expand(policy, _results(theirs), _results(mine))
    named = dict.fromkeys(one.figure.suite for one in asked)
    pairs = {
        suite: Pair.of(suite, mine.get(suite), theirs.get(suite)) for suite in named if suite in mine or suite in theirs
    }
    missing = {one.figure: reason for one in asked if (reason := _missing(one, pairs.get(one.figure.suite)))}
    tested = _tested([one for one in asked if one.figure not in missing], pairs, policy.alpha)
    checks = []
    for one in asked:
        if one.figure in missing:
            checks.append(Check(one.figure, "missing", missing[one.figure], one.budget, one.floor))
        else:
            checks.append(_judged(one, pairs[one.figure.suite], tested.get(one.figure), policy.alpha))
    return GateReport(
        _side(candidate), _side(baseline), policy.alpha, tuple(checks), same_ranks=_same_ranks(mine, theirs)
    )


_Names = Mapping[tuple[str, str], str]
"""Suite name and fingerprint of the data -> what the suite is called here."""


def _names(*sides: Sequence[Run]) -> _Names:
    """The name of each suite, with digits of its data where one side has results on several data of one name."""
    found: dict[tuple[str, str], str] = {}
    several: set[str] = set()
    for runs in sides:
        references = [run.result.suite for run in runs]
        for suite, name in zip(references, distinct_names(references), strict=True):
            found[suite.name, suite.fingerprint] = name_of_data(suite)
            several |= {suite.name} if name != suite.name else set()
    return {data: name if data[0] in several else data[0] for data, name in found.items()}


def _same_ranks(candidate: Mapping[str, Run], baseline: Mapping[str, Run]) -> bool:
    """Whether both sides have the same relevant documents at the same ranks, in every suite that both have."""
    return all(
        np.array_equal(run.ranks.outranked, baseline[suite].ranks.outranked)
        for suite, run in candidate.items()
        if suite in baseline
    )


def _by_suite(runs: Sequence[Run], role: str, names: _Names) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for run in runs:
        first, suite = runs[0], names[run.result.suite.name, run.result.suite.fingerprint]
        if run.name != first.name:
            raise InputError(f"the {role} is one encoder, but there are results of {first.name} and {run.name}")
        if run.result.model.fingerprint != first.result.model.fingerprint:
            raise InputError(
                f"the {role}'s results on {first.result.suite.name} and {suite} are of different weights or settings "
                f"of {run.name}; run one of them again"
            )
        if suite in found:
            raise InputError(f"the {role} has two results on {suite}; give one")
        found[suite] = run
    return found


def _results(runs: Mapping[str, Run]) -> dict[str, Result]:
    return {suite: run.result for suite, run in runs.items()}


def _missing(asked: Asked, pair: Pair | None) -> str | None:
    """Why a figure cannot be judged; None where it can."""
    if pair is None:
        return f"neither side has a result on {asked.figure.suite}"
    if pair.absent is not None:
        return f"the candidate has {pair.absent}"
    assert pair.candidate is not None, "a pair without a candidate says what is absent"
    if lack := pair.candidate.lack(asked.figure):
        return f"the candidate has {lack}"
    lack = f"no result on {asked.figure.suite}" if pair.baseline is None else pair.baseline.lack(asked.figure)
    if asked.budget is None or lack is None:
        return None
    return f"the baseline has {lack}: measure it again, or set a floor in place of the budget"


def _tested(asked: Sequence[Asked], pairs: Mapping[str, Pair], alpha: float) -> dict[Figure, Evidence]:
    """Loss, interval and p of every figure that both sides have; p only where a budget asks for it."""
    budgeted = [one.figure for one in asked if one.budget is not None]
    tested: dict[Figure, Evidence] = {}
    for suite, pair in pairs.items():
        figures = [one.figure for one in asked if one.figure.suite == suite and _on_both(one.figure, pair)]
        columns = {figure: pair.losses(figure) for figure in figures}
        losses = {figure: Loss.of(pair.questions, columns[figure]) for figure in figures}
        for figure, interval in intervals(pair.questions, columns).items():
            tested[figure] = Evidence(losses[figure], interval)
        to_test = [figure for figure in figures if figure in set(budgeted)]
        for figure in to_test:
            _check_sight(figure, losses[figure].questions, len(budgeted), alpha)
        if to_test:
            p = p_values([losses[figure] for figure in to_test], len(budgeted), alpha)
            for figure, value in zip(to_test, p, strict=True):
                tested[figure] = Evidence(losses[figure], tested[figure].interval, float(value))
    family = {figure: one.p for figure, one in tested.items() if one.p is not None}
    for figure, value in zip(family, statistics.holm(list(family.values())), strict=True):
        one = tested[figure]
        tested[figure] = Evidence(one.loss, one.interval, one.p, float(value))
    return tested


def _on_both(figure: Figure, pair: Pair) -> bool:
    return pair.baseline is not None and pair.baseline.lack(figure) is None


def _check_sight(figure: Figure, questions: int, family: int, alpha: float) -> None:
    """With n questions there are 2^n sign patterns, and the rarest outcome has p = 2 / 2^n."""
    if family * 2.0 ** (1 - questions) >= alpha:
        needed = int(np.floor(np.log2(family / alpha))) + 2
        raise InputError(
            f"{figure}: no test can prove a loss on {questions} questions, so this budget would never say no; with "
            f"{family} checks it takes {needed}: set a floor in place of the budget, or measure on more"
        )


def _judged(asked: Asked, pair: Pair, tested: Evidence | None, alpha: float) -> Check:
    assert pair.candidate is not None, "what the candidate lacks is not judged"
    figure = asked.figure
    value = pair.candidate.value(figure)
    baseline = pair.baseline.value(figure) if pair.baseline is not None and tested is not None else None
    allowed = asked.budget.of(baseline) if asked.budget is not None and baseline is not None else None
    verdict, reason = decide(asked, value, tested, allowed, alpha)
    return Check(
        figure,
        verdict,
        reason,
        asked.budget,
        asked.floor,
        candidate=value,
        baseline=baseline,
        loss=None if tested is None else tested.loss.value,
        interval=None if tested is None else tested.interval,
        allowed=allowed,
        p=None if tested is None else tested.p,
        adjusted_p=None if tested is None else tested.adjusted_p,
        questions=None if tested is None else tested.loss.questions,
    )


def decide(
    asked: Asked, value: float, tested: Evidence | None, allowed: float | None, alpha: float
) -> tuple[Verdict, str]:
    """The verdict on a figure, and the sentence that says why.

    Args:
        asked: the limits.
        value: the candidate's figure.
        tested: the loss; None where the baseline has no such figure.
        allowed: the budget in the measure's unit; None where there is none.
        alpha: what the adjusted p is held against.
    """
    higher_is_better = parse(asked.figure.measure).definition.higher_is_better
    if asked.floor is not None:
        short = asked.floor - value if higher_is_better else value - asked.floor
        if short > _EQUAL * max(1.0, abs(asked.floor)):
            side = "below" if higher_is_better else "above"
            return "floor", f"{written(value)} is {side} the floor of {written(asked.floor)}"
    if tested is None or allowed is None or tested.adjusted_p is None:
        return "passed", f"{written(value)}" + (f", floor {written(asked.floor)}" if asked.floor is not None else "")
    loss, p = tested.loss.value, _probability(tested.adjusted_p)
    if loss <= allowed + _EQUAL * max(1.0, abs(allowed)):
        return "passed", f"lost {written(loss)} of {written(allowed)}" if loss > 0 else f"gained {written(abs(loss))}"
    if tested.adjusted_p < alpha:
        low, high = (written(end) for end in tested.interval)
        return "loss", f"lost {written(loss)} ({low} to {high}), {written(allowed)} is allowed; adjusted p {p}"
    return "unproven", f"lost {written(loss)}, {written(allowed)} is allowed; adjusted p {p}, so it may be chance"


def _probability(p: float) -> str:
    return "< .001" if p < 0.001 else f"= {p:.3f}"


def _side(runs: Sequence[Run]) -> Side:
    first = runs[0].result
    return Side(first.model.name, first.model.fingerprint, first.harness.get("version", "unknown"))
