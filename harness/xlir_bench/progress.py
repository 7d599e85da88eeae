"""Progress of long work, as a value that is passed down: library code reports, the command line draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


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
    """A bar per stage on stderr, with rate and time left."""
    from rich.console import Console
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
        console=Console(stderr=True),
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
