"""Progress of long work, as a value that is passed down: library code reports, the command line draws."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from xlir_bench.progress_lines import LoggedStage, lasting, speed
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
def step(progress: Progress, name: str) -> Iterator[None]:
    """Work whose size is not known, as a stage of one unit."""
    stage = progress.stage(name, 1, "step")
    yield
    stage.advance()


_NARROW, _WIDE = 64, 100
"""Columns of a terminal below which only percent and time left are beside a stage's name, and from which all is."""


@contextmanager
def _drawn(console: Console) -> Iterator[Progress]:
    from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.table import Column
    from rich.text import Text

    class Told(ProgressColumn):
        """A text about a task; a column that is never cut unless it may be."""

        def __init__(self, of: Callable[[Task], str], *, cut: bool = False) -> None:
            super().__init__(table_column=Column(no_wrap=True, overflow="ellipsis" if cut else "ignore"))
            self._of = of

        def render(self, task: Task) -> Text:
            return Text(self._of(task))

    def measured(task: Task) -> bool:
        return (task.total or 0) > 1

    def share(task: Task) -> str:
        return f"{int(task.percentage)} %" if measured(task) or task.finished else ""

    def done(task: Task) -> str:
        return f"{int(task.completed):,}/{int(task.total or 0):,}" if measured(task) else ""

    def rate(task: Task) -> str:
        return speed(task.finished_speed or task.speed, task.fields["unit"]) if measured(task) else ""

    def left(task: Task) -> str:
        seconds = task.time_remaining
        return f"{lasting(seconds)} left" if measured(task) and seconds is not None and not task.finished else ""

    def note(task: Task) -> str:
        return str(task.fields["note"])

    name, width = Told(lambda task: task.description, cut=True), console.width
    columns: list[ProgressColumn] = [name, Told(share), Told(left)]
    if width >= _WIDE:
        columns = [
            name,
            BarColumn(20),
            Told(share),
            Told(done),
            Told(rate),
            TimeElapsedColumn(),
            Told(left),
            Told(note),
        ]
    elif width >= _NARROW:
        columns = [name, BarColumn(10), Told(share), Told(rate), Told(left)]
    bars = Bars(*columns, console=console)

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
