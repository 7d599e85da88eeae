"""What `run` prints: the plan of a run, the means of a result, the means of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from xlir_bench.cli.tables import Table, print_table
from xlir_bench.errors import counted

if TYPE_CHECKING:
    from xlir_bench.analysis import Standing
    from xlir_bench.api.result import Result
    from xlir_bench.encoders.plan import Plan
    from xlir_bench.results import Result as StoredResult


def print_means(asked: tuple[str, ...], summaries: dict[str, dict[str, dict[str, float]]]) -> None:
    """The means of the groups that were asked for, with how many of their suites they are over."""
    from xlir_bench.suites import Group, expand, look_up, mean_over

    for name in asked:
        group = look_up(name)
        if isinstance(group, Group):
            members = [suite.key for suite in expand([name])]
            done = sum(member in summaries for member in members)
            click.echo(f"{group.name}: mean of what {done} of {len(members)} suites gave", err=True)
            for setting, measures in mean_over(group, summaries).items():
                shown = ", ".join(f"{measure} {_figure(value)}" for measure, value in measures.items())
                click.echo(f"  {setting}: {shown}", err=True)


def print_plan(suite: str, plan: Plan) -> None:
    """How much a run has to do."""
    tokens = "unknown" if plan.tokens is None else f"{plan.tokens:,}"
    seconds = "not timed" if plan.seconds is None else f"about {plan.seconds:,.0f} s"
    speed = f" ({plan.texts_per_s:,.0f} texts/s)" if plan.texts_per_s else ""
    click.echo(
        f"{suite}: {counted(plan.texts, 'texts')}, {plan.distinct:,} of them distinct, {plan.stored:,} stored already\n"
        f"  to encode: {counted(plan.missing, 'texts')}, tokens: {tokens}; time: {seconds}{speed}\n"
        f"  memory: {plan.memory_bytes / 1e6:,.0f} MB for model and vectors; "
        f"the cache grows by {plan.disk_bytes / 1e6:,.0f} MB"
    )


def print_summary(result: StoredResult) -> None:
    """The means over the rows of each setting."""
    measures = list(dict.fromkeys(name for values in result.summary.values() for name in values))
    table = Table(("setting", "rows", *measures), "means over rows")
    for setting, values in result.summary.items():
        rows = {(s.query_language, s.document_language) for s in result.scores if s.setting == setting}
        cells = [_figure(values[name]) if name in values else "" for name in measures]
        table.add_row(setting, str(len(rows)), *cells)
    print_table(table)


def print_standings(results: Sequence[Result], standings: Sequence[Standing]) -> None:
    """One table of several models on a suite: a row for each, the best of a column marked, and letters by the tests."""
    cells = {(s.encoder, s.setting, s.measure): s for s in standings}
    columns = list(dict.fromkeys((s.setting, s.measure) for s in standings))
    best = {column: next(s.mean for s in standings if (s.setting, s.measure) == column) for column in columns}
    suite = results[0].stored.suite
    table = Table(
        ("model", *(f"{setting} {measure}" for setting, measure in columns)),
        f"{suite.name} ({' '.join(suite.languages)}): means over rows; * best; models with a letter in common are not "
        "told apart",
    )
    for result in results:
        row = [cells[result.model, *column] for column in columns]
        marks = ("*" if s.mean == best[column] else "" for s, column in zip(row, columns, strict=True))
        table.add_row(
            result.model, *(f"{mark}{_figure(s.mean)} {s.groups}" for s, mark in zip(row, marks, strict=True))
        )
    click.echo()
    print_table(table)


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) <= 1 else f"{value:,.1f}"


def print_abridged(result: StoredResult) -> None:
    """Say on stderr of how many texts the model did not read everything."""
    plurals = {"query": "queries", "document": "documents"}
    meanings = {"empty": "without text, not sent, with a zero vector", "cut": "cut at the model's greatest length"}
    for role, counts in result.model.details.get("abridged", {}).items():
        for kind, number in counts.items():
            click.echo(f"{plurals.get(role, role)} {meanings.get(kind, kind)}: {number:,}", err=True)
