"""What is made of several results: a comparison, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xlir_bench.analysis import Comparison, Run
from xlir_bench.analysis import compare as compare_runs
from xlir_bench.api.result import AnyResults, Result, results_of
from xlir_bench.gating import DEFAULT_POLICY, GateReport, read_policy
from xlir_bench.gating import gate as judge


def compare(results: AnyResults, *, suite: str | None = None) -> Comparison:
    """Compare models by the ranks of their results; nothing is encoded.

    Args:
        results: two or more results of one suite: `Result`s, files, folders, or a list of these. The first is A.
        suite: which suite's results to compare, where there are several.

    Returns:
        Every pair with its differences, 95 % intervals and Holm-adjusted p; see `Comparison`.

    Raises:
        InputError: fewer than two results, results of several suites or on different data, two of one model's name, or
            nothing in common.
        MissingResourceError: a path has no result.
    """
    return compare_runs(_runs(results_of(results, suite, one_suite=True)))


def gate(candidate: AnyResults, baseline: AnyResults, policy: str | Path | None = None) -> GateReport:
    """Whether a candidate is worse than a baseline, beyond a budget and beyond chance.

    Args:
        candidate: results of one model: `Result`s, files, folders, or a list of these.
        baseline: of what it is to replace.
        policy: a YAML file (docs/gate.md); the one that is shipped by default.

    Returns:
        The checks with their verdicts; `passed` is the outcome.

    Raises:
        InputError: see `gate.gate`; or the policy is wrong.
        MissingResourceError: a path has no result.
    """
    rules = read_policy(DEFAULT_POLICY if policy is None else Path(policy))
    return judge(_runs(results_of(candidate)), _runs(results_of(baseline)), rules)


def _runs(results: Sequence[Result]) -> list[Run]:
    return [Run(one.model, one.stored, one.ranks) for one in results]
