"""`xlir-bench cache`: what is stored, and room."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options

if TYPE_CHECKING:
    from xlir_bench.encoders.contents import StoredModel


@click.group("cache")
def command() -> None:
    """Show and prune the vectors that earlier runs stored.

    They are kept by content (weights, tokenizer, pooling, prompts, precision; role; language and text), never by name:
    what is removed costs time, not results. XLIR_BENCH_CACHE names the folder.
    """


@command.command("info")
@options.as_json
def info(as_json: bool) -> None:
    """List the models that have vectors here, the most recently used first."""
    from xlir_bench.encoders import VectorCache
    from xlir_bench.encoders.contents import stored_models

    cache = VectorCache()
    found = stored_models(cache)
    if as_json:
        click.echo(json.dumps({"folder": str(cache.folder), "models": [asdict(model) for model in found]}))
        return
    _print(found)
    click.echo(f"{cache.folder}: {len(found)} models, {_size(sum(model.bytes for model in found))}")


@command.command("prune")
@click.option("--model", "models", multiple=True, metavar="MODEL", help="An id, a name or a fingerprint's beginning.")
@click.option("--unused", "days", type=click.FloatRange(min=0), metavar="DAYS", help="Not used for so many days.")
@click.option("--all", "everything", is_flag=True, help="Every model.")
@options.as_json
def prune(models: tuple[str, ...], days: float | None, everything: bool, as_json: bool) -> None:
    """Remove the vectors of some models, of those not used for long, or of all."""
    from xlir_bench.encoders import VectorCache
    from xlir_bench.encoders.contents import prune as remove

    if not models and days is None and not everything:
        raise click.UsageError("say what to remove: --model MODEL, --unused DAYS, or --all")
    removed = remove(VectorCache(), models, days)
    if as_json:
        click.echo(json.dumps({"removed": [asdict(model) for model in removed]}))
        return
    _print(removed)
    click.echo(f"removed {len(removed)} models, {_size(sum(model.bytes for model in removed))}")


def _print(models: list[StoredModel]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not models:
        return
    table = Table()
    for heading in ("model", "fingerprint", "last used"):
        table.add_column(heading)
    for heading in ("vectors", "size"):
        table.add_column(heading, justify="right")
    for model in models:
        day = datetime.fromtimestamp(model.last_used, UTC).strftime("%Y-%m-%d %H:%M")
        name = model.id or "(unknown)"
        table.add_row(name, model.fingerprint[:12], day, f"{model.vectors:,}", _size(model.bytes))
    Console().print(table)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
