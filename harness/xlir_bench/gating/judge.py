"""The gate: rules in, verdicts out. Pair, measure, test, judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xlir_bench.analysis import Run, warn_of_similarities
from xlir_bench.analysis.latex import figure as written
from xlir_bench.errors import InputError
from xlir_bench.gating.bias import BiasLoss
from xlir_bench.gating.checks import Asked, expand
from xlir_bench.gating.figures import Loss, Pair, intervals, p_values, resamples_of
from xlir_bench.gating.policy import Policy
from xlir_bench.gating.scale import EQUAL, Scale
from xlir_bench.gating.verdict import BIAS, Basis, Check, Figure, GateReport, Lack, Side, Verdict
from xlir_bench.measures import statistics
from xlir_bench.results import Result, distinct_names, name_of_data


@dataclass(frozen=True)
class Evidence:
    """A loss with what the statistics say of it; p where a budget asks for it."""

    loss: Loss | BiasLoss
    interval: tuple[float, float] | None
    p: float | None = None
    adjusted_p: float | None = None
    basis: Basis = "test"


def gate(candidate: Sequence[Run], baseline: Sequence[Run], policy: Policy) -> GateReport:
    """Hold a candidate's runs against a baseline's.

    A check fails where the loss passes the budget and the paired randomisation test by question, Holm-adjusted over
    all checks with a budget, says that there is a loss; where the figure is past its floor; or where the candidate has
    no such figure.

    Args:
        candidate: one encoder's runs, at most one of each suite.
        baseline: runs of the encoder that the candidate is to replace, at most one of each suite.
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
    missing = {one.figure: lack for one in asked if (lack := _missing(one, pairs.get(one.figure.suite)))}
    tested = _tested([one for one in asked if one.figure not in missing], pairs, policy.alpha)
    checks = []
    for one in asked:
        if one.figure in missing:
            lack = missing[one.figure]
            checks.append(Check(one.figure, "missing", lack.text, one.budget, one.floor, lacks=lack.kind))
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


def _missing(asked: Asked, pair: Pair | None) -> Lack | None:
    """Why a figure cannot be judged, as a sentence; None where it can."""
    if pair is None:
        return Lack("result", f"neither side has a result on {asked.figure.suite}")
    if pair.absent is not None:
        return Lack(pair.absent.kind, f"the candidate has {pair.absent.text}")
    assert pair.candidate is not None, "a pair without a candidate says what is absent"
    if lack := pair.candidate.lack(asked.figure):
        return Lack(lack.kind, f"the candidate has {lack.text}")
    if pair.baseline is None:
        lack = Lack("result", f"no result on {asked.figure.suite}")
    else:
        lack = pair.baseline.lack(asked.figure)
    if asked.budget is None or lack is None:
        return None
    return Lack(lack.kind, f"the baseline has {lack.text}: measure it again, or set a floor in place of the budget")


def _tested(asked: Sequence[Asked], pairs: Mapping[str, Pair], alpha: float) -> dict[Figure, Evidence]:
    """Loss, interval and p of every figure that both sides have; p only where a budget asks for it."""
    budgeted = {one.figure for one in asked if one.budget is not None}
    tested: dict[Figure, Evidence] = {}
    for suite, pair in pairs.items():
        figures = [one.figure for one in asked if one.figure.suite == suite and _on_both(one.figure, pair)]
        columns = {figure: pair.losses(figure) for figure in figures if figure.setting != BIAS}
        found = intervals(pair.questions, columns)
        for figure, losses in columns.items():
            tested[figure] = Evidence(Loss.of(pair.questions, losses), found[figure])
        for figure in figures:
            if figure.setting == BIAS:
                loss = pair.bias_loss(figure)
                tested[figure] = Evidence(loss, loss.interval, basis=loss.basis)
    to_test = [figure for figure, one in tested.items() if figure in budgeted and one.basis == "test"]
    for figure, p in _p_values({figure: tested[figure].loss for figure in to_test}, alpha).items():
        tested[figure] = replace(tested[figure], p=p)
    adjusted = statistics.holm([tested[figure].p or 0.0 for figure in to_test])
    for figure, value in zip(to_test, adjusted, strict=True):
        tested[figure] = replace(tested[figure], adjusted_p=float(value))
    return tested


def _p_values(losses: Mapping[Figure, Loss | BiasLoss], alpha: float) -> dict[Figure, float]:
    """P of every loss that has a test: one family, whose size the number of resamples follows."""
    found: dict[Figure, float] = {}
    of_suite: dict[str, dict[Figure, Loss]] = {}
    for figure, loss in losses.items():
        assert loss.questions is not None
        _check_sight(figure, loss.questions, len(losses), alpha)
        if isinstance(loss, BiasLoss):
            found[figure] = loss.p(resamples_of(len(losses), alpha))
        else:
            of_suite.setdefault(figure.suite, {})[figure] = loss
    for one in of_suite.values():
        found |= dict(zip(one, map(float, p_values(list(one.values()), len(losses), alpha)), strict=True))
    return found


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
    scale = pair.candidate.scale(figure)
    allowed = asked.budget.of(scale.unit(baseline)) if asked.budget is not None and baseline is not None else None
    verdict, reason = decide(asked, value, tested, allowed, alpha, scale)
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
        basis=None if tested is None or allowed is None else tested.basis,
        p=None if tested is None else tested.p,
        adjusted_p=None if tested is None else tested.adjusted_p,
        questions=None if tested is None else tested.loss.questions,
    )


def decide(
    asked: Asked,
    value: float,
    tested: Evidence | None,
    allowed: float | None,
    alpha: float,
    scale: Scale,
) -> tuple[Verdict, str]:
    """The verdict on a figure, and the sentence that says why.

    Args:
        asked: the limits.
        value: the candidate's figure.
        tested: the loss; None where the baseline has no such figure.
        allowed: the budget in the measure's unit; None where there is none.
        alpha: what the adjusted p is held against.
        scale: in which direction the figure gets worse.
    """
    if asked.floor is not None and (worse := scale.passes(value, asked.floor)) is not None:
        return "floor", f"{written(value)} is {worse} the floor of {written(asked.floor)}"
    if tested is None or allowed is None:
        return "passed", f"{written(value)}" + (f", floor {written(asked.floor)}" if asked.floor is not None else "")
    loss = tested.loss.value
    if loss <= allowed + EQUAL * max(1.0, abs(allowed)):
        return "passed", f"lost {written(loss)} of {written(allowed)}" if loss > 0 else f"gained {written(abs(loss))}"
    return _past_budget(tested, f"{written(allowed)} is allowed", alpha)


def _past_budget(tested: Evidence, limit: str, alpha: float) -> tuple[Verdict, str]:
    """The verdict on a loss that is past its budget."""
    lost = f"lost {written(tested.loss.value)}"
    if tested.interval is None:
        return "loss", f"{lost}, {limit}; the plain difference counts: this figure has no test"
    low, high = tested.interval
    spread = f"{lost} ({written(low)} to {written(high)}), {limit}"
    if tested.adjusted_p is None:
        if low > 0:
            return "loss", f"{spread}; this figure has no test, and its interval is above 0"
        return "unproven", f"{spread}; this figure has no test, and its interval holds 0, so it may be chance"
    p = _probability(tested.adjusted_p)
    if tested.adjusted_p < alpha:
        return "loss", f"{spread}; adjusted p {p}"
    return "unproven", f"{lost}, {limit}; adjusted p {p}, so it may be chance"


def _probability(p: float) -> str:
    return "< .001" if p < 0.001 else f"= {p:.3f}"


def _side(runs: Sequence[Run]) -> Side:
    first = runs[0].result
    return Side(first.model.name, first.model.fingerprint, first.harness.get("version", "unknown"))
