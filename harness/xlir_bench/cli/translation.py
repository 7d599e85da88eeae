"""What the commands that translate share: the options of the model, and how its report is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import Table, print_table

if TYPE_CHECKING:
    from xlir_bench.training.machine import Machine
    from xlir_bench.training.translation import Report

DEFAULT_MODEL = "facebook/m2m100_418M"


class MachineOptions(TypedDict):
    """The translator, as typed."""

    model: str
    beams: int
    device: str | None
    precision: Literal["float32", "bfloat16", "float16", "auto"] | None
    batch_tokens: int | None
    trust_remote_code: bool


_MACHINE: tuple[options.Decorator, ...] = (
    click.option(
        "--model",
        default=DEFAULT_MODEL,
        show_default=True,
        help="An M2M-100 checkpoint: a folder, ORG/NAME or ORG/NAME@REVISION of the hub, or m2m100-418m, whose "
        "revision is pinned.",
    ),
    click.option("--beams", type=click.IntRange(min=1), default=5, show_default=True, help="1 is greedy, and fastest."),
    options.device,
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        help="Of weights and computation; auto takes half where the device gains by it.  [default: float32]",
    ),
    click.option("--batch-tokens", type=click.IntRange(min=1), help="Source tokens per batch.  [default: by device]"),
    click.option("--trust-remote-code", is_flag=True, help="Read pickled weights too."),
)

targets: options.Decorator = click.option(
    "--to", "targets", type=options.Listed(), required=True, metavar="LIST", help="Languages, e.g. sw,yo."
)
source: options.Decorator = click.option(
    "--from", "source", default="en", show_default=True, help="The language that is translated."
)
unfiltered: options.Decorator = click.option(
    "--no-filter", "unfiltered", is_flag=True, help="Keep translations that look bad; only empty ones are left out."
)


def machine(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the translator, gathered into one argument `machine_options`."""
    return options.gathered(command, "machine_options", _MACHINE, tuple(MachineOptions.__annotations__))


def load(chosen: MachineOptions) -> Machine:
    """The translator that was asked for."""
    from xlir_bench.encoders import Options
    from xlir_bench.training import machine as room

    given = Options(
        precision=chosen["precision"],
        batch_tokens=chosen["batch_tokens"],
        trust_remote_code=chosen["trust_remote_code"],
    )
    return room.load(chosen["model"], chosen["device"], given, chosen["beams"])


def show(report: Report, made: dict[str, object], as_json: bool) -> None:
    """What was translated, kept and refused, language by language.

    Args:
        report: of the run.
        made: what else there is to say, for JSON.
        as_json: one object instead of a table.
    """
    if as_json:
        click.echo(json.dumps({**made, "languages": report.rows()}))
        return
    table = Table(("language", "texts", "kept", "refused"), figures=())
    for row in report.rows():
        refused = cast("dict[str, int]", row["refused"])
        why = ", ".join(f"{count:,} {kind}" for kind, count in refused.items())
        table.add_row(str(row["language"]), f"{row['texts']:,}", f"{row['kept']:,}", why)
    print_table(table)
