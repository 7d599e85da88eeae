"""What is made of several results: a comparison, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xlir_bench.analysis import Comparison, Run, Standing
from xlir_bench.analysis import compare as compare_runs
from xlir_bench.analysis import standings as standings_of_runs
from xlir_bench.api.result import AnyResults, Result, place_of, results_of, results_of_one_suite
from xlir_bench.gating import DEFAULT_POLICY, GateReport, read_policy
from xlir_bench.gating import gate as judge
from xlir_bench.results import choose


def compare(results: AnyResults, *, suite: str | None = None, languages: Sequence[str] | None = None) -> Comparison:
    """Compare models by the ranks of their results; nothing is encoded.

    Args:
        results: two or more results of one suite: `Result`s, files, folders, or a list of these. The first is A.
        suite: which suite's results to compare, where there are several.
        languages: only results on exactly these; by default those on the most languages that all models have. Of one
            model's results on the same data, that with the most figures is used.

    Returns:
        Every pair with its differences, 95 % intervals and Holm-adjusted p; see `Comparison`.

    Raises:
        InputError: fewer than two results, results of several suites or on different data, two of one model's name, or
            nothing in common.
        MissingResourceError: a path has no result.
    """
    return compare_runs(_runs(results_of_one_suite(results, suite, languages)))


def standings(results: Sequence[Result]) -> tuple[Standing, ...]:
    """The standings of `compare`: means with intervals, ranks, and letters that models not told apart share.

    Raises:
        InputError: see `compare`.
    """
    return standings_of_runs(_runs(results))


def gate(
    candidate: AnyResults,
    baseline: AnyResults,
    policy: str | Path | None = None,
    *,
    languages: Sequence[str] | None = None,
) -> GateReport:
    """Whether a candidate is worse than a baseline, beyond a budget and beyond chance.

    Args:
        candidate: results of one model: `Result`s, files, folders, or a list of these.
        baseline: of what it is to replace.
        policy: a YAML file (docs/gate.md); the one that is shipped by default.
        languages: only results on exactly these; by default, of each suite, those on the most that the
            baseline has.

    Returns:
        The checks with their verdicts; `passed` is the outcome.

    Raises:
        InputError: see `gate.gate`; or the policy is wrong.
        MissingResourceError: a path has no result.
    """
    rules = read_policy(DEFAULT_POLICY if policy is None else Path(policy))
    [theirs] = _chosen([results_of(baseline)], languages)
    # Not what both have: a candidate that lacks what the baseline was measured on does not pass.
    mine, theirs = _chosen([results_of(candidate), theirs], languages)
    return judge(_runs(mine), _runs(theirs), rules)


def _chosen(sides: Sequence[Sequence[Result]], languages: Sequence[str] | None) -> list[list[Result]]:
    kept = choose([[(place_of(one), one.stored) for one in side] for side in sides], languages)
    return [[side[at] for at in places] for side, places in zip(sides, kept, strict=True)]


def _runs(results: Sequence[Result]) -> list[Run]:
    return [Run(one.model, one.stored, one.ranks) for one in results]
