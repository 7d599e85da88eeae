"""Progress of long work, as a value that is passed down: library code reports, the command line draws."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from xlir_bench.progress_lines import LoggedStage
from xlir_bench.streams import stdout_to_stderr

if TYPE_CHECKING:
    from rich.console import Console


class Stage(Protocol):
    """One stretch of work with a known size."""

    def advance(self, steps: int = 1) -> None:
        """`steps` more units are done."""
        ...

    def note(self, text: str) -> None:
        """What is to be read beside the bar from now on, e.g. a loss."""
        ...


class Progress(Protocol):
    """Where stages are announced."""

    def stage(self, name: str, total: int, unit: str) -> Stage:
        """Begin a stretch of `total` units, e.g. "encoding documents", 13014, "texts"."""
        ...


class _Silent:
    def stage(self, name: str, total: int, unit: str) -> Stage:
        return self

    def advance(self, steps: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()


@contextmanager
def bar() -> Iterator[Progress]:
    """A bar per stage on stderr, with rate and time left; where that is no terminal, now and then a line.

    Long work calls libraries, and what these print belongs beside the bar: on stderr.
    """
    from rich.console import Console

    console = Console(stderr=True)
    with stdout_to_stderr():
        # A setting that asks for colours in a log makes `rich` take the log for a terminal.
        if console.is_jupyter or (console.is_interactive and sys.stderr.isatty()):
            with _drawn(console) as progress:
                yield progress
        else:
            yield Lines()


class Lines:
    """A line on stderr for each stage that takes its time, twice a minute; see `progress_lines`."""

    def stage(self, name: str, total: int, unit: str) -> Stage:
        """See `Progress.stage`."""
        return LoggedStage(name, total, unit, lambda line: print(line, file=sys.stderr, flush=True))


@contextmanager
def _drawn(console: Console) -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        def __init__(self) -> None:
            super().__init__(table_column=Column(no_wrap=True))

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            digits = 0 if speed and speed >= 10 else 1
            return Text(f"{speed:,.{digits}f} {task.fields['unit']}/s" if speed else "")

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )

    class OneBar:
        def __init__(self, task: TaskID) -> None:
            self._task = task

        def advance(self, steps: int = 1) -> None:
            bars.advance(self._task, steps)

        def note(self, text: str) -> None:
            bars.update(self._task, note=text)

    class Drawn:
        def stage(self, name: str, total: int, unit: str) -> Stage:
            return OneBar(bars.add_task(name, total=total, unit=unit, note=""))

    with bars:
        yield Drawn()
