"""`xlir-bench run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options
from xlir_bench.collection import SETTINGS

if TYPE_CHECKING:
    from xlir_bench.results import Result


@click.command("run")
@click.argument("model_id")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="SUITE",
    help="A suite's name or YAML file; may be repeated.  [default: xlir-mini]",
)
@options.languages
@click.option("--settings", type=options.Listed(SETTINGS), help="Only these, e.g. monolingual,multilingual.")
@options.data
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for results and the page.",
)
@click.option("--device", help="cpu, cuda, cuda:1, mps.  [default: the best there is]")
@click.option("--no-cache", is_flag=True, help="Neither read nor keep vectors of earlier runs.")
@options.as_json
def command(
    model_id: str,
    suites: tuple[str, ...],
    languages: tuple[str, ...] | None,
    settings: tuple[str, ...] | None,
    data: Path | None,
    output: Path,
    device: str | None,
    no_cache: bool,
    as_json: bool,
) -> None:
    """Measure a model on one or more suites.

    MODEL_ID is a bundled submission (xlir-hybrid-static), `bm25`, `random`, a folder with a model, FILE.py:FACTORY,
    PACKAGE.MODULE:FACTORY, or a model of the hub (ORG/NAME).

    Results go to OUTPUT/MODEL/SUITE.json with a Parquet table of ranks beside it, and OUTPUT/index.html shows all of
    them. An interrupted run goes on where it was. With --json, one Result per line goes to stdout.
    """
    from xlir_bench.encoders import VectorCache, resolve
    from xlir_bench.evaluation import run
    from xlir_bench.leaderboard import build
    from xlir_bench.progress import bar
    from xlir_bench.results import find_results, load_result
    from xlir_bench.results.store import check_writable
    from xlir_bench.suites import DEFAULT_SUITE, find, load

    chosen = [find(name).narrowed(settings) for name in suites or (DEFAULT_SUITE,)]
    collections = [load(suite, data, languages) for suite in chosen]
    check_writable(output)
    model = resolve(model_id, device)
    cache = None if no_cache else VectorCache()
    for suite, collection in zip(chosen, collections, strict=True):
        click.echo(f"{model.info.id} on {suite.name} ({' '.join(collection.languages)})", err=True)
        with bar() as progress:
            kept = run(model, suite, collection, output, cache=cache, progress=progress)
        if as_json:
            click.echo(kept.result.model_dump_json())
        else:
            _print_summary(kept.result)
        click.echo(f"result: {kept.path}{'' if kept.measured_now else ' (finished by an earlier run)'}", err=True)
    page = build([load_result(path) for path in find_results([output])], output)
    click.echo(f"page: {page}", err=True)


def _print_summary(result: Result) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result.model.id} on {result.suite.name}, means over rows", title_justify="left")
    table.add_column("setting")
    table.add_column("rows", justify="right")
    measures = list(dict.fromkeys(name for values in result.summary.values() for name in values))
    for measure in measures:
        table.add_column(measure, justify="right")
    for setting, values in result.summary.items():
        rows = {(s.query_language, s.document_language) for s in result.scores if s.setting == setting}
        cells = [_figure(values[name]) if name in values else "" for name in measures]
        table.add_row(setting, str(len(rows)), *cells)
    Console().print(table)


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) <= 1 else f"{value:,.1f}"
