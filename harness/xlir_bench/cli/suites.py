"""`xlir-bench suites`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from xlir_bench.cli import options


@click.group("suites")
def command() -> None:
    """List, show and check the suites."""


@command.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """The suites that come with the package."""
    from rich.console import Console
    from rich.table import Table

    from xlir_bench.suites import find, shipped

    suites = [find(name) for name in shipped()]
    if as_json:
        click.echo(json.dumps([suite.model_dump(mode="json") for suite in suites], ensure_ascii=False))
        return
    table = Table("suite", "version", "languages", "settings", "licence", box=None)
    for suite in suites:
        table.add_row(
            suite.name, str(suite.version), str(len(suite.languages)), ", ".join(suite.settings), suite.licence
        )
    Console().print(table)


@command.command("show")
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """What a suite declares."""
    import yaml

    from xlir_bench.suites import find

    declaration = find(name).model_dump(mode="json", exclude_none=True)
    if as_json:
        click.echo(json.dumps(declaration, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump(declaration, sort_keys=False, allow_unicode=True, width=100), nl=False)


@command.command("check")
@click.argument("name")
@options.languages
@options.data
@options.as_json
def check(name: str, languages: tuple[str, ...] | None, data: Path | None, as_json: bool) -> None:
    """Read a suite's files and compare them with what was published.

    Hashes, layout, that every judgement resolves, unique ids, no empty text, and the counts per language. Exit code 2
    where something differs.
    """
    from rich.console import Console
    from rich.table import Table

    import xlir_bench.suites as rooms
    from xlir_bench.errors import InputError

    suite = rooms.find(name)
    collection = rooms.load(suite, data, languages)
    rows = rooms.check(suite, collection)
    if as_json:
        report = {
            "suite": suite.name,
            "version": suite.version,
            "fingerprint": collection.fingerprint,
            "languages": [{**asdict(row), "holds": row.holds} for row in rows],
            "queries": len(collection.queries),
            "documents": len(collection.documents),
            "holds": all(row.holds for row in rows),
        }
        click.echo(json.dumps(report))
    else:
        table = Table("language", "queries", "documents", "judged", "as published", box=None)
        for column in table.columns[1:4]:
            column.justify = "right"
        for row in rows:
            table.add_row(row.language, str(row.queries), str(row.documents), str(row.judged), _verdict(row))
        totals = (str(len(collection.queries)), str(len(collection.documents)), str(sum(row.judged for row in rows)))
        table.add_row("all", *totals, "")
        Console().print(table)
        click.echo(f"fingerprint {collection.fingerprint}", err=True)
    wrong = [row.language for row in rows if not row.holds]
    if wrong:
        sys.stdout.flush()
        raise InputError(f"suite {suite.name}: the counts of {' '.join(wrong)} are not the published ones")


def _verdict(row: object) -> str:
    from xlir_bench.suites import LanguageCheck

    assert isinstance(row, LanguageCheck)
    if row.expected_queries is None and row.expected_documents is None:
        return "not stated"
    return "yes" if row.holds else f"no: {row.expected_queries} queries, {row.expected_documents} documents"
