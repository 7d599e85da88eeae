"""The report where GitHub Actions shows it: annotations on the run, and a table in the step's summary."""

from __future__ import annotations

from collections.abc import Iterator

from xlir_bench.analysis.latex import figure as written
from xlir_bench.gating.verdict import Finding, GateReport

SHOWN = 10
"""Annotations of one kind that GitHub takes from a step; it drops the others."""

ROWS = 32
REASONS = 16
"""Of the summary, which with them has at most 60 lines: what fits into a comment and is read."""

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
    doubts = [found for found in report.findings if found.verdict == "unproven"]
    for level, findings in (("error", report.findings[: len(report.findings) - len(doubts)]), ("warning", doubts)):
        shown = findings if len(findings) <= SHOWN else findings[: SHOWN - 1]
        for found in shown:
            yield f"::{level} title={_property(f'gate: {found.about}')}::{_data(found.reason)}"
        if more := sum(len(found.checks) for found in findings[len(shown) :]):
            yield f"::{level} title=gate::{_data(f'and {more} more checks')}"


def summary(report: GateReport) -> str:
    """Markdown of at most 60 lines: the outcome, a table with what failed first, and the reasons."""
    passed = [Finding((check,)) for check in report.checks if check.verdict == "passed"]
    findings = report.findings + passed
    failed = [found for found in findings if found.checks[0].failed]
    headings = ("", "suite", "setting", "measure", "languages", "baseline", "candidate", "loss", "budget", "floor", "p")
    lines = [
        f"### xlir-bench gate: {'passed' if report.passed else 'failed'}",
        "",
        _cell(report.headline),
        *(["", _cell(report.notice)] if report.notice is not None else []),
        "",
        _row(headings),
        _row(["---"] * 5 + ["---:"] * 6),
        *(_row(_cells(found)) for found in findings[:ROWS]),
    ]
    if hidden := sum(len(found.checks) for found in findings[ROWS:]):
        lines += ["", f"and {hidden} more checks; the JSON report has all of them"]
    lines += ["", *(f"- {_cell(found.about)}: {_cell(found.reason)}" for found in failed[:REASONS])]
    if hidden := sum(len(found.checks) for found in failed[REASONS:]):
        lines.append(f"- and {hidden} more that failed")
    return "\n".join(lines) + "\n"


def _cells(found: Finding) -> list[str]:
    check, figure = found.checks[0], found.checks[0].figure
    if len(found.checks) > 1:
        return [_WORDS[check.verdict], _cell(figure.suite), "", f"{len(found.checks)} checks", *[""] * 7]
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
