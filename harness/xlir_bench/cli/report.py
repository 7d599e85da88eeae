"""`xlir-bench report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the page; it is made where it does not exist.",
)
def command(results: tuple[Path, ...], output: Path) -> None:
    """Build a static page from results.

    RESULTS are result files, or folders that hold them at any depth. The page is one file, index.html, that loads
    nothing from elsewhere: open it from disk or publish the folder as it is.
    """
    from xlir_bench.leaderboard import build
    from xlir_bench.results import find_results, load_result

    page = build([load_result(path) for path in find_results(results)], output)
    click.echo(str(page))
