"""`xlir-bench train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import Table, print_table

if TYPE_CHECKING:
    from xlir_bench.training.sweep import Swept

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


class _RecipeOrCommand(click.Group):
    """`train RECIPE` trains; `train sweep GRID` is the one word that is a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["recipe", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "RECIPE [--output DIR] [--json]")
        formatter.write_usage(ctx.command_path, "sweep GRID [OPTIONS]")


@click.group("train", cls=_RecipeOrCommand)
def command() -> None:
    """Train an encoder by a recipe, or many by a grid of recipes.

    RECIPE is a YAML file; see docs/training.md. An interrupted run goes on where it was when the same command is given
    again, and a finished one is not done twice.
    """


@command.command("recipe")
@click.argument("recipe", type=_FILE)
@click.option("--output", type=_FOLDER, help="The model's folder.  [default: models/NAME]")
@options.offline
@options.as_json
def train_recipe(recipe: Path, output: Path | None, as_json: bool) -> None:
    """Train by one recipe (the word `recipe` may be left out)."""
    from xlir_bench.progress import bar
    from xlir_bench.training.recipe import read_recipe
    from xlir_bench.training.runner import train

    declared = read_recipe(recipe)
    folder = output or Path("models") / (declared.name or recipe.stem)
    with bar() as progress:
        trained = train(declared, folder, progress)
    if not trained.record:  # a process beside the first: that one speaks
        return
    if as_json:
        click.echo(json.dumps(trained.record, ensure_ascii=False))
    else:
        record = trained.record
        last = ", ".join(f"{kind} {loss:.3f}" for kind, loss in record["losses"][-1].items() if kind != "step")
        click.echo(f"{record['recipe']['name']}: {record['steps']:,} steps, {record['minutes']:.1f} min, loss {last}")
        if "held_out" in record:
            looks = {look["step"]: look["score"] for look in record["held_out"]["looks"]}
            best = record["held_out"]["best_step"]
            click.echo(f"held-out AP {looks[best]:.4f} at step {best:,}, whose weights are kept")
    how = "" if trained.trained_now else " (finished by an earlier run; nothing was done)"
    click.echo(f"model: {folder}{how}", err=True)


@command.command("sweep")
@click.argument("grid", type=_FILE)
@click.option("--output", type=_FOLDER, help="Folder of models and figures.  [default: sweeps/NAME]")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs at the same time.")
@options.data
@options.offline
@options.as_json
def sweep(grid: Path, output: Path | None, jobs: int, data: Path | None, as_json: bool) -> None:
    """Train every recipe of a grid, measure each, and draw the trade-off.

    GRID is a YAML file with a base recipe and the values of some of its fields. What is finished is kept: the same
    command goes on, and a grid that has grown trains what is new.
    """
    from xlir_bench.progress import bar
    from xlir_bench.training.grid import read_grid
    from xlir_bench.training.sweep import sweep as run_sweep

    declared = read_grid(grid)
    folder = output or Path("sweeps") / (declared.name or grid.stem)
    with bar() as progress:
        swept = run_sweep(declared, folder, jobs=jobs, data=data, progress=progress)
    if as_json:
        click.echo(json.dumps(swept.document, ensure_ascii=False))
    else:
        _print(swept)
    click.echo(f"table: {swept.table}\nfigure: {swept.figure}", err=True)


def _print(swept: Swept) -> None:
    keys, columns = len(swept.varied), swept.columns
    table = Table(columns, "means over seeds, with 95 % intervals", figures=range(keys, len(columns)), keys=keys)
    for row in swept.summary_rows():
        table.add_row(*row)
    print_table(table)
