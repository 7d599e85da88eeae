"""The report where GitHub Actions shows it: annotations on the run, and a table in the step's summary."""

from __future__ import annotations

from collections.abc import Iterator

from xlir_bench.analysis.latex import figure as written
from xlir_bench.gating.verdict import Check, GateReport

SHOWN = 10
"""Annotations of one kind that GitHub takes from a step; it drops the others."""

ROWS = 200
"""Rows of the summary; a summary above 1 MiB is not shown at all."""

_WORDS = {
    "passed": "passed",
    "unproven": "not proven",
    "loss": "**loss**",
    "floor": "**floor**",
    "missing": "**missing**",
}
_MARKUP = frozenset("&<>\"'\\`*_{}[]()#+!|~$@:/")


def workflow_commands(report: GateReport) -> Iterator[str]:
    """Workflow commands, a line each: errors for what failed, warnings for what chance may explain."""
    if report.notice is not None:
        yield f"::warning title=gate::{_data(report.notice)}"
    for level, checks in (
        ("error", report.failures),
        ("warning", [check for check in report.checks if check.verdict == "unproven"]),
    ):
        more = len(checks) - SHOWN
        for check in checks[:SHOWN] if more <= 0 else checks[: SHOWN - 1]:
            yield f"::{level} title={_property(f'gate: {check.figure}')}::{_data(check.reason)}"
        if more > 0:
            yield f"::{level} title=gate::{_data(f'and {more + 1} more checks')}"


def summary(report: GateReport) -> str:
    """Markdown: the outcome and a table, what failed first."""
    order = {"loss": 0, "floor": 0, "missing": 0, "unproven": 1, "passed": 2}
    checks = sorted(report.checks, key=lambda check: order[check.verdict])
    headings = ("", "suite", "setting", "measure", "languages", "baseline", "candidate", "loss", "budget", "floor", "p")
    lines = [
        f"### xlir-bench gate: {'passed' if report.passed else 'failed'}",
        "",
        _cell(report.headline),
        *(["", _cell(report.notice)] if report.notice is not None else []),
        "",
        _row(headings),
        _row(["---"] * 5 + ["---:"] * 6),
        *(_row(_cells(check)) for check in checks[:ROWS]),
    ]
    if len(checks) > ROWS:
        lines += ["", f"and {len(checks) - ROWS} more checks; the JSON report has all of them"]
    reasons = [f"- {_cell(str(check.figure))}: {_cell(check.reason)}" for check in checks[:ROWS] if check.failed]
    return "\n".join([*lines, "", *reasons]) + "\n"


def _cells(check: Check) -> list[str]:
    figure = check.figure
    names = (figure.suite, figure.setting, figure.measure, figure.languages or "all")
    return [
        _WORDS[check.verdict],
        *(_cell(name) for name in names),
        _figure(check.baseline),
        _figure(check.candidate),
        "" if check.loss is None else written(check.loss, signed=True),
        "" if check.budget is None else str(check.budget),
        _figure(check.floor),
        "" if check.adjusted_p is None else "<.001" if check.adjusted_p < 0.001 else f"{check.adjusted_p:.3f}",
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else written(value)


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Text that neither Markdown nor HTML reads as anything else: names come from files of others."""
    return "".join(f"&#{ord(one)};" if one in _MARKUP else one for one in " ".join(text.split()))


def _data(text: str) -> str:
    """The message of a workflow command, escaped as actions/toolkit does."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
