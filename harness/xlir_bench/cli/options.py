"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Listed(click.ParamType[tuple[str, ...]]):
    """Names separated by commas or spaces, e.g. `ar,de`; each may be limited to a choice."""

    name = "LIST"

    def __init__(self, choice: tuple[str, ...] = ()) -> None:
        self._choice = choice

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names, without repetition, in the order given."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(str(value).replace(",", " ").split()))
        if not names:
            self.fail("give at least one name", param, ctx)
        for name in names:
            if self._choice and name not in self._choice:
                self.fail(f"{name!r} is not one of {', '.join(self._choice)}", param, ctx)
        return names


data: Decorator = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder searched first for a suite's files, as DIR/SUITE/ or DIR/ itself.  [env: XLIR_BENCH_DATA]",
)
languages: Decorator = click.option("--languages", type=Listed(), help="Only these, e.g. ar,de,en.")
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="JSON on stdout, and nothing else there.")
