"""`xlir-bench report`."""

from __future__ import annotations

from pathlib import Path

import click

from xlir_bench.errors import InputError


@click.command("report")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the site; it is made where it does not exist.",
)
@click.option("--url", help="Where the site will be published, so that the feed's links are absolute.")
def command(results: tuple[Path, ...], output: Path, url: str | None) -> None:
    """Build a static site from results.

    RESULTS are result files, folders that hold them at any depth, submissions, or folders of submissions, measured or
    imported. Encoders whose ranks lie beside their results are tested against one another. The site loads nothing from
    elsewhere: open its index.html from disk, or publish the folder as it is.

    The figures of every result are computed again from the ranks beside it. A result with a figure that does not follow
    is named on stderr and left out, as is a submission that cannot be used; the site of the others is written. Exit
    code 2 if a result that is not part of a submission was left out.
    """
    from xlir_bench.api.pages import report

    site = report(results, output, url=url)
    for problem in site.left_out:
        click.echo(f"left out: {problem}", err=True)
    click.echo(str(site.index))
    if site.refused:
        number = len(site.refused)
        raise InputError(f"{number} result{'' if number == 1 else 's'} left out: see the lines above")
