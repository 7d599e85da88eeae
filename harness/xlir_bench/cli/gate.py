"""`xlir-bench gate`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import Table, print_table, print_text

if TYPE_CHECKING:
    from xlir_bench.gating import Check, Finding, GateReport

_PASSED_SHOWN = 40


def _print_policy(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from xlir_bench.gating import DEFAULT_POLICY

        click.echo(DEFAULT_POLICY.read_text(encoding="utf-8"), nl=False)
        context.exit()


@click.command("gate")
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    required=True,
    type=click.Path(path_type=Path),
    help="Result file, or folder of results, of what the candidate is to replace.",
)
@click.option("--policy", type=click.Path(dir_okay=False, path_type=Path), help="YAML.  [default: the one shipped]")
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML there.")
@options.measured_languages
@options.as_json
@click.option(
    "--print-policy",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_policy,
    help="Print the policy that is shipped, to begin one's own with, and stop.",
)
@click.pass_context
def command(
    context: click.Context,
    candidate: Path,
    baseline: Path,
    policy: Path | None,
    junit_file: Path | None,
    languages: tuple[str, ...] | None,
    as_json: bool,
) -> None:
    """Say whether a candidate is worse than a baseline, beyond a budget and beyond chance.

    CANDIDATE is a result file, or a folder of results of one encoder. Nothing is encoded: the ranks of both runs are
    compared. A check fails where the loss passes its budget and the paired test over questions says that it is real,
    where a figure is past its floor, or where the candidate lacks it. Of results on one suite with other languages,
    settings or measures, the baseline's fullest is taken, and the candidate must have the like.

    On GitHub Actions failures are annotated and the step gets a summary.

    Exit codes: 0 the candidate passes, 1 it does not, 2 the input is wrong, 3 something is missing.
    """
    from xlir_bench.api.reports import gate
    from xlir_bench.files import replacing
    from xlir_bench.gating import junit

    report = gate(candidate, baseline, policy, languages=languages)
    if junit_file is not None:
        with replacing(junit_file) as temporary:
            temporary.write_text(junit(report), encoding="utf-8")
    _tell_github(report)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False, allow_nan=False))
    else:
        _print(report)
    context.exit(0 if report.passed else 1)


def _tell_github(report: GateReport) -> None:
    from xlir_bench.errors import MissingResourceError
    from xlir_bench.gating.github import summary, workflow_commands

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in workflow_commands(report):
            click.echo(line, err=True)  # the runner reads both streams; stdout is for data
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(place).open("a", encoding="utf-8") as file:
                file.write(summary(report))
        except OSError as error:
            raise MissingResourceError(
                f"cannot write the step's summary {place}: {error.strerror}; unset GITHUB_STEP_SUMMARY"
            ) from None


def _print(report: GateReport) -> None:
    passed = [check for check in report.checks if check.verdict == "passed"]
    hidden = set(map(id, passed[_PASSED_SHOWN:]))
    shown = [check for check in report.checks if id(check) not in hidden]
    grouped = [found for found in report.findings if len(found.checks) > 1]
    alone = {check.figure for found in grouped for check in found.checks}
    print_table(_table([check for check in shown if check.figure not in alone], grouped))
    if hidden:
        print_text(f"and {len(hidden)} more that passed; --json has all of them")
    click.echo()
    for found in report.findings:
        print_text(f"{found.verdict}: {found.about}: {found.reason}")
    if report.notice is not None:
        print_text(report.notice)
    print_text(report.headline)


def _table(checks: list[Check], grouped: list[Finding]) -> Table:
    """A row for each check, and one for those that are grouped."""
    from xlir_bench.analysis.latex import figure

    headings = ("verdict", "suite", "setting", "measure", "languages", "baseline", "candidate", "loss")
    table = Table((*headings, "95 % interval", "budget", "floor", "adjusted p"), figures=(5, 6, 7, 9, 10, 11), keys=5)
    colours = {"passed": "green", "unproven": "yellow"}
    for check in checks:
        about = check.figure
        interval = "" if check.interval is None else " to ".join(figure(end, signed=True) for end in check.interval)
        p = "" if check.adjusted_p is None else "<.001" if check.adjusted_p < 0.001 else f"{check.adjusted_p:.3f}"
        table.add_row(
            check.verdict,
            *(about.suite, about.setting, about.measure, about.languages or "all"),
            *("" if value is None else figure(value) for value in (check.baseline, check.candidate)),
            "" if check.loss is None else figure(check.loss, signed=True),
            interval,
            "" if check.budget is None else str(check.budget),
            "" if check.floor is None else figure(check.floor),
            p,
            style=colours.get(check.verdict, "red"),
        )
    for found in grouped:
        cells = (found.verdict, found.checks[0].figure.suite, "", f"{len(found.checks)} checks")
        table.add_row(*cells, *[""] * (len(table.headings) - len(cells)), style="red")
    return table
