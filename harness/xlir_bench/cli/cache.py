"""`xlir-bench cache`: what is stored, and room."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import Table, print_table, print_text
from xlir_bench.errors import counted

if TYPE_CHECKING:
    from xlir_bench.encoders.contents import StoredModel, Unrecognised


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
    from xlir_bench.encoders.contents import stored_models, unrecognised

    cache = VectorCache()
    found, foreign = stored_models(cache), unrecognised(cache)
    if as_json:
        click.echo(json.dumps({"folder": str(cache.folder), "models": _plain(found), "unrecognised": _plain(foreign)}))
        return
    _print(found)
    outdated = sum(model.outdated_bytes for model in found)
    if outdated:
        print_text(
            f"{_size(outdated)} of it were written by an earlier version and are no longer read; "
            "remove them with `xlir-bench cache prune --outdated`"
        )
    _print_unrecognised(foreign)
    print_text(f"{cache.folder}: {counted(len(found), 'models')}, {_size(sum(model.bytes for model in found))}")


@command.command("prune")
@click.option("--model", "models", multiple=True, metavar="MODEL", help="An id, a name or a fingerprint's beginning.")
@click.option("--unused", "days", type=click.FloatRange(min=0), metavar="DAYS", help="Not used for so many days.")
@click.option("--all", "everything", is_flag=True, help="Every model.")
@click.option("--outdated", is_flag=True, help="Only files of an earlier version, which are no longer read.")
@options.as_json
def prune(models: tuple[str, ...], days: float | None, everything: bool, outdated: bool, as_json: bool) -> None:
    """Remove the vectors of some models, of those not used for long, or of all.

    Only files that xlir-bench wrote are removed. Links are not followed; they and everything else are named and left.
    """
    from xlir_bench.encoders import VectorCache
    from xlir_bench.encoders.contents import prune as remove
    from xlir_bench.encoders.contents import unrecognised

    if not models and days is None and not everything and not outdated:
        raise click.UsageError("say what to remove: --model MODEL, --unused DAYS, --outdated, or --all")
    cache = VectorCache()
    removed = remove(cache, models, days, outdated)
    foreign = unrecognised(cache)
    if as_json:
        click.echo(json.dumps({"removed": _plain(removed), "unrecognised": _plain(foreign)}))
        return
    _print(removed)
    _print_unrecognised(foreign)
    size = _size(sum(model.outdated_bytes if outdated else model.bytes for model in removed))
    print_text(
        f"removed {'files of an earlier version of ' if outdated else ''}{counted(len(removed), 'models')}, {size}"
    )


def _plain(found: Sequence[StoredModel | Unrecognised]) -> list[dict[str, Any]]:
    return [asdict(item) for item in found]


def _print_unrecognised(found: Sequence[Unrecognised]) -> None:
    for item in found:
        print_text(f"left: {item.path} ({item.reason})")


def _print(models: list[StoredModel]) -> None:
    if not models:
        return
    table = Table(("model", "fingerprint", "last used", "vectors", "size"), figures=(3, 4))
    for model in models:
        day = datetime.fromtimestamp(model.last_used, UTC).strftime("%Y-%m-%d %H:%M")
        name = model.id or "(unknown)"
        table.add_row(name, model.fingerprint[:12], day, f"{model.vectors:,}", _size(model.bytes))
    print_table(table)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
