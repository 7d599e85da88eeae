"""`xlir-bench compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import Table, print_table, print_text
from xlir_bench.errors import counted

if TYPE_CHECKING:
    from xlir_bench.analysis import Comparison


@click.command("compare")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--suite", help="Only results of this suite, where a folder holds several.")
@options.measured_languages
@options.as_json
@click.option("--latex", "as_latex", is_flag=True, help="Tables for a paper on stdout (booktabs).")
def command(
    results: tuple[Path, ...], suite: str | None, languages: tuple[str, ...] | None, as_json: bool, as_latex: bool
) -> None:
    """Compare encoders by the ranks that their runs left; nothing is encoded.

    RESULTS are two or more result files, or folders that hold them at any depth. Each pair is compared, the earlier as
    A and the later as B: difference B - A, its 95 % interval, and p, adjusted over the table. The unit is the question
    with all its language versions.

    Of an encoder's results on one suite with other languages, settings or measures, the fullest that all have is taken.
    """
    from xlir_bench.api.reports import compare
    from xlir_bench.errors import InputError

    if as_json and as_latex:
        raise InputError("give --json or --latex, not both")
    comparison = compare(results, suite=suite, languages=languages)
    if as_json:
        click.echo(json.dumps(comparison.as_dict(), ensure_ascii=False, allow_nan=False))
    elif as_latex:
        click.echo(comparison.to_latex(), nl=False)
    else:
        _print(comparison)


def _print(comparison: Comparison) -> None:
    print_text(
        f"{comparison.suite}, version {comparison.version}: {counted(comparison.questions, 'questions')}, "
        f"{' '.join(comparison.languages)}"
    )
    for notice in comparison.notices:
        print_text(notice)
    for table in (_standings(comparison), _differences(comparison), _languages(comparison), _queries(comparison)):
        click.echo()
        print_table(table)


def _standings(comparison: Comparison) -> Table:
    from xlir_bench.analysis.latex import figure

    headings = ("setting", "measure", "rank", "encoder", "mean", "95 % interval", "group")
    table = Table(headings, "Standings: encoders with a letter in common are not told apart", figures=(2, 4), keys=4)
    for s in comparison.standings:
        low, high = (figure(end) for end in s.interval)
        table.add_row(s.setting, s.measure, str(s.rank), s.encoder, figure(s.mean), f"{low} to {high}", s.groups)
    return table


def _differences(comparison: Comparison) -> Table:
    from xlir_bench.analysis.latex import figure, probability

    headings = (
        "setting",
        "measure",
        "A",
        "B",
        "A's",
        "B's",
        "B - A",
        "95 % interval",
        "adjusted p",
        "effect",
        "better",
    )
    table = Table(headings, "Differences", figures=(4, 5, 6, 8, 9), keys=4)
    for d in comparison.settings:
        low, high = (figure(end, signed=True) for end in d.interval)
        effect = "" if d.effect_size is None else f"{d.effect_size:+.2f}"
        better = "not told apart" if d.better is None else "B" if d.better else "A"
        values = (figure(d.mean_a), figure(d.mean_b), figure(d.difference, signed=True))
        table.add_row(d.setting, d.measure, d.a, d.b, *values, f"{low} to {high}", probability(d), effect, better)
    return table


def _languages(comparison: Comparison) -> Table:
    """The ends of every list of languages."""
    from itertools import groupby

    from xlir_bench.analysis.latex import figure, probability

    headings = ("setting", "measure", "A", "B", "language of", "code", "B - A", "95 % interval", "adjusted p")
    table = Table(headings, "Languages that gain and lose most, first to last", figures=(6, 8), keys=6)
    for (*_, is_query), group in groupby(
        comparison.by_language, key=lambda d: (d.a, d.b, d.setting, d.measure, d.document_language == "*")
    ):
        found = list(group)
        for d in found if len(found) <= 6 else [*found[:3], *found[-3:]]:
            low, high = (figure(end, signed=True) for end in d.interval)
            side, code = ("queries", d.query_language) if is_query else ("documents", d.document_language)
            value = figure(d.difference, signed=True)
            table.add_row(d.setting, d.measure, d.a, d.b, side, code, value, f"{low} to {high}", probability(d))
    return table


def _queries(comparison: Comparison) -> Table:
    from xlir_bench.analysis.latex import figure

    headings = ("setting", "measure", "A", "B", "query", "A's", "B's", "gain of B")
    table = Table(headings, "Queries that gain and lose most", figures=(5, 6, 7), keys=5)
    for q in (*comparison.gains, *comparison.losses):
        values = (figure(q.value_a), figure(q.value_b), figure(q.gain, signed=True))
        table.add_row(q.setting, q.measure, q.a, q.b, q.query_id, *values)
    return table
