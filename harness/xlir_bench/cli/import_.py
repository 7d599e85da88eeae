"""`xlir-bench import`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from xlir_bench.cli import options
from xlir_bench.errors import counted


@click.group("import")
def command() -> None:
    """Take published results as submissions."""


@command.command("mteb")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("submissions"),
    show_default=True,
    help="Folder of submissions.",
)
@options.as_json
def mteb(source: Path, output: Path, as_json: bool) -> None:
    """Published MTEB results become submissions marked imported.

    SOURCE is a clone of the repository of results, any folder with its layout, or a tar archive of one.

    An encoder is averaged over a task only where all of the task's subsets were published; results on other revisions
    of a dataset are kept apart and marked stale.
    """
    from xlir_bench.submissions.mteb_import import import_mteb

    report = import_mteb(source, output)
    if as_json:
        click.echo(json.dumps(asdict(report), ensure_ascii=False))
        return
    counts = ", ".join(f"{number:,} {kind}" for kind, number in report.results.items())
    click.echo(f"{counted(len(report.submissions), 'submissions')} in {output}; results: {counts}")
    if report.problems:
        click.echo(f"{counted(len(report.problems), 'files')} could not be used:", err=True)
    for problem in report.problems:
        click.echo(f"  {problem}", err=True)
