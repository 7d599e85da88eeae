"""From rules to figures: what a policy asks of the suites that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from xlir_bench.analysis.fairness import without_cutoff
from xlir_bench.errors import InputError, warn
from xlir_bench.gating.policy import ANY, PRIMARY, Budget, Languages, Policy, Rule
from xlir_bench.gating.scale import Scale
from xlir_bench.gating.verdict import BIAS, EVERY, Figure
from xlir_bench.results import Result


@dataclass(frozen=True)
class Asked:
    """A figure with the limits that rules set it."""

    figure: Figure
    budget: Budget | None
    floor: float | None


def expand(policy: Policy, baseline: Mapping[str, Result], candidate: Mapping[str, Result]) -> list[Asked]:
    """Every figure that the rules are about, in their order; what is named but not there is among them.

    Args:
        policy: the rules.
        baseline: suite name -> its result. Wildcards stand for what it has.
        candidate: suite name -> its result; a suite that only the candidate has is checked where a rule names it.

    Raises:
        InputError: the policy checks nothing of this baseline, or a budget lets everything pass.
    """
    found: dict[Figure, Asked] = {}
    idle: list[str] = []
    for number, rule in enumerate(policy.rules, 1):
        names = baseline if ANY in rule.suite else _suites(rule.suite, {**candidate, **baseline})
        figures = [one for name in names for one in _figures(rule, name, baseline.get(name) or candidate.get(name))]
        if not figures and not policy.is_shipped:
            idle.append(f"{policy.source}: rule {number} checks nothing: no suite of the baseline has its figures")
        for figure in figures:
            _check_budget(rule.budget, figure, f"{policy.source}: rule {number}")
            earlier = found.get(figure, Asked(figure, None, None))
            found[figure] = Asked(
                figure,
                earlier.budget if rule.budget is None else rule.budget,
                earlier.floor if rule.floor is None else rule.floor,
            )
    if not found:
        raise InputError(
            f"{policy.source} checks nothing of the baseline, which has {', '.join(baseline)}; name its suites"
        )
    for message in idle:
        warn(message)
    return list(found.values())


def _suites(named: Iterable[str], there: Mapping[str, Result]) -> Iterator[str]:
    """The suites that a rule names: what is called so here, and all data that have this suite's name."""
    for name in named:
        yield from [one for one, result in there.items() if name in {one, result.suite.name}] or [name]


def _figures(rule: Rule, suite: str, result: Result | None) -> Iterator[Figure]:
    if result is None:
        for setting in [BIAS] if rule.bias else rule.setting:
            yield from (Figure(suite, setting, measure) for measure in rule.bias or rule.measure)
        return
    if rule.bias:
        yield from _figures_of_bias(rule, suite, result)
        return
    passed_over = ANY in rule.suite
    settings: Iterable[str] = result.summary if ANY in rule.setting else rule.setting
    for setting in settings:
        measures = result.summary.get(setting, {})
        for name in rule.measure:
            measure = result.primary.get(setting, PRIMARY) if name == PRIMARY else name
            if measure in measures:
                yield from _per_language(rule, Figure(suite, setting, measure), result)
            elif not passed_over:
                yield Figure(suite, setting, measure)


def _figures_of_bias(rule: Rule, suite: str, result: Result) -> Iterator[Figure]:
    bias = result.bias
    stored = {} if bias is None else dict.fromkeys([*bias.summary, *bias.maps])
    for written in rule.bias:
        # A name without a cut-off means the one that the result has.
        name = next((one for one in stored if written in {one, without_cutoff(one)}), written)
        if bias is None or name not in stored:
            if ANY not in rule.suite:
                yield Figure(suite, BIAS, name)
            continue
        for x in _codes(rule.query_languages, bias.query_languages.get(name, bias.maps.get(name, {}))):
            for y in _codes(rule.document_languages, bias.document_languages.get(name, ())):
                yield Figure(suite, BIAS, name, x, y)


def _per_language(rule: Rule, whole: Figure, result: Result) -> Iterator[Figure]:
    rows = dict.fromkeys((s.query_language, s.document_language) for s in result.scores if s.setting == whole.setting)
    queries = _codes(rule.query_languages, (x for x, _ in rows))
    documents = _codes(rule.document_languages, (y for _, y in rows))
    for x in queries:
        for y in documents:
            # Of pairs that no one listed by name, only those that a suite has: x to x is not cross-lingual.
            listed = not isinstance(rule.query_languages, str) and not isinstance(rule.document_languages, str)
            if EVERY in {x, y} or (x, y) in rows or (listed and x != y):
                yield Figure(whole.suite, whole.setting, whole.measure, x, y)


def _codes(asked: Languages, there: Iterable[str]) -> tuple[str, ...]:
    if asked == "all":
        return (EVERY,)
    return tuple(dict.fromkeys(there)) if asked == "each" else tuple(asked)


def _check_budget(budget: Budget | None, figure: Figure, rule: str) -> None:
    """Refuse a budget that no loss can exceed, such as 2 where 2 % was meant."""
    if budget is None or figure.measure == PRIMARY or budget.value < 1:
        return
    scale = Scale.of(figure, {})
    if budget.relative and scale.best != "high":
        return  # what should be low, or near a value, may well double
    if scale.bounded or budget.relative:
        raise InputError(
            f"{rule}, field budget: a budget of {budget} lets {figure.measure} lose all it has; write a share as "
            f"{budget.value:g} %, or an absolute loss below 1"
        )
