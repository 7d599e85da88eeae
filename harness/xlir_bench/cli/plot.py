"""`xlir-bench plot`."""

from __future__ import annotations

from pathlib import Path

import click

from xlir_bench.cli import options
from xlir_bench.collection import SETTINGS

_KINDS = ("map", "bias", "languages", "trade-off")


@click.command("plot")
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE.svg, FILE.pdf (its text is text) or FILE.png.",
)
@click.option("--suite", help="Only results of this suite, where a folder holds several.")
@click.option(
    "--setting", type=click.Choice(SETTINGS), help="trade-off: whose primary measure.  [default: multilingual]"
)
@click.option("--against", metavar="FIGURE", help="trade-off: a figure of bias, e.g. AWRF.  [default: rank_distance]")
@click.option("--name", "names", multiple=True, metavar="NAME=SHOWN", help="What to write for a model or the suite.")
@click.option(
    "--fonts",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of fonts, for letters that none of this machine has.",
)
@click.option("--scale", type=click.FloatRange(0.1, 10), default=2.0, show_default=True, help="png: its size.")
def command(
    kind: str,
    results: tuple[Path, ...],
    output: Path,
    suite: str | None,
    setting: str | None,
    against: str | None,
    names: tuple[str, ...],
    fonts: Path | None,
    scale: float,
) -> None:
    """Draw a figure for a paper, from results whose figures are computed again from their ranks.

    RESULTS are result files, or folders that hold them at any depth.

    map: the primary measure of each pair of languages. bias: the figures of language bias with their intervals.
    languages: each setting's primary measure by language of the queries. trade-off: effectiveness against bias, a point
    for each of several encoders on one suite.
    """
    from xlir_bench.api.plots import figures_for, plot, trade_off
    from xlir_bench.errors import InputError
    from xlir_bench.leaderboard import chart_files, charts

    form = chart_files.form_of(output)
    if kind != "trade-off" and (setting or against):
        raise InputError(f"{'--setting' if setting else '--against'} is an option of trade-off: leave it out")
    drawn = figures_for(results, kind, suite, options.display_names(names))
    if kind != "trade-off" and len(drawn) > 1:
        raise InputError(f"{kind} is drawn of one result, and there are {len(drawn)}: give the file of one")
    chart = trade_off(drawn, setting, against) if kind == "trade-off" else plot(drawn[0], kind)
    if not charts.can_draw():
        raise InputError("nothing can be drawn where `ulimit -v` is low: raise it")
    if fonts is not None:
        chart_files.add_fonts(fonts)
    chart_files.write(charts.as_file(chart), output, scale=scale)
    click.echo(f"{form}: {output}", err=True)
