"""Tables and sentences as the commands print them: no figure and no name is ever cut.

Where standard output is no terminal, a table is as wide as it has to be. On a terminal that is too narrow for it,
columns that say the same in every row are said once, above the table; if that is not enough, the table is printed in
parts of a few columns each, or each row as a block of lines, whichever is shorter.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import click

from xlir_bench.errors import LONGEST_MESSAGE, printable

_GAP = "  "
_USUAL_WIDTH = 80

Cell = tuple[str, str]
"""A text and its style, e.g. ("failed", "red")."""
Line = list[Cell]


@dataclass(frozen=True)
class Table:
    """A table without lines.

    Attributes:
        headings: of the columns.
        title: printed above it.
        figures: columns of figures, which are aligned to the right; all but the first if it is not given.
        keys: how many of the first columns say what a row is about; they are repeated where a table is printed in
            parts.
        rows: cells, as many in each row as there are headings.
    """

    headings: Sequence[str]
    title: str | None = None
    figures: Collection[int] | None = None
    keys: int = 1
    rows: list[tuple[Cell, ...]] = field(default_factory=list)

    def add_row(self, *cells: str, style: str = "") -> None:
        """Add a row, its first cell in a style, e.g. "red". Control characters are replaced."""
        first, *others = (printable(cell, LONGEST_MESSAGE) for cell in cells)
        self.rows.append(((first, style), *((cell, "") for cell in others)))

    def is_figure(self, column: int) -> bool:
        """Whether a column is aligned to the right."""
        return column > 0 if self.figures is None else column in self.figures

    def widths(self) -> list[int]:
        """Of the columns."""
        columns = zip(*([(heading, "") for heading in self.headings], *self.rows), strict=True)
        return [max(_length(text) for text, _ in column) for column in columns]

    def width(self, columns: Sequence[int]) -> int:
        """Of some of the columns beside one another."""
        widths = self.widths()
        return sum(widths[column] for column in columns) + len(_GAP) * (len(columns) - 1)

    def only(self, columns: Sequence[int], keys: int) -> Table:
        """The table of some of the columns, in their order."""
        figures = [at for at, column in enumerate(columns) if self.is_figure(column)]
        rows = [tuple(row[column] for column in columns) for row in self.rows]
        return Table([self.headings[column] for column in columns], None, figures, keys, rows)


def print_table(table: Table) -> None:
    """Print a table; see the module's description."""
    if table.title is not None:
        print_text(table.title)
    width = terminal_width()
    _print(_as_it_is(table) if width is None else _within(table, width))


def print_text(text: str, indent: int = 0) -> None:
    """Print a sentence; on a terminal it is broken between words only, with spaces before each line."""
    width = terminal_width()
    line = printable(text, LONGEST_MESSAGE)
    broken = [line] if width is None else _broken(line, width - indent)
    for part in broken:
        click.echo(f"{' ' * indent}{part}")


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH


def _print(lines: Iterator[Line]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    for cells in lines:
        shown = Text.assemble(*cells)
        shown.rstrip()
        console.print(shown, soft_wrap=True)


def _length(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _as_it_is(table: Table) -> Iterator[Line]:
    """Lines of the whole table, however wide."""
    widths = table.widths()
    for row in (tuple((heading, "bold") for heading in table.headings), *table.rows):
        line: Line = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            missing = " " * (width - _length(cell[0]))
            before, after = (missing, "") if table.is_figure(column) else ("", missing)
            line += [(f"{_GAP if column else ''}{before}", ""), cell, (after, "")]
        yield line


def _within(table: Table, width: int) -> Iterator[Line]:
    """Lines of a table on a terminal of that width."""
    if table.width(range(len(table.headings))) <= width:
        yield from _as_it_is(table)
        return
    table, same = _without_repetition(table)
    if same:
        yield from ([(part, "")] for part in _broken(f"in every row: {same}", width))
    blocks, parts = list(_blocks(table, width)), _parts(table, width)
    in_parts: list[Line] = []
    for part in parts:
        in_parts += [*([[]] if in_parts else []), *_as_it_is(part)]
    yield from in_parts if in_parts and len(in_parts) <= len(blocks) else blocks


def _without_repetition(table: Table) -> tuple[Table, str]:
    """The table without empty columns and names that are the same in every row, and these names in a sentence."""
    if len(table.rows) < 2:
        return table, ""
    texts = [[row[column][0] for row in table.rows] for column in range(len(table.headings))]
    left = [n for n, found in enumerate(texts) if any(found) and (table.is_figure(n) or len(set(found)) > 1)]
    same = [
        f"{table.headings[column]} {found[0]}" for column, found in enumerate(texts) if column not in left and found[0]
    ]
    return table.only(left, sum(column < table.keys for column in left)), ", ".join(same)


def _parts(table: Table, width: int) -> list[Table]:
    """The table, or tables of a few columns each, no wider than the terminal; none if that cannot be."""
    every = range(len(table.headings))
    if table.width(every) <= width:
        return [table]
    keys = list(every[: table.keys])
    if not keys or any(table.width([*keys, column]) > width for column in every[table.keys :]):
        return []
    parts: list[list[int]] = []
    for column in every[table.keys :]:
        if not parts or table.width([*parts[-1], column]) > width:
            parts.append([*keys])
        parts[-1].append(column)
    return [table.only(part, table.keys) for part in parts]


def _blocks(table: Table, width: int) -> Iterator[Line]:
    """Each row as lines of heading and cell; a cell that does not fit beside its heading has lines of its own."""
    longest = max(map(_length, table.headings))
    for number, row in enumerate(table.rows):
        if number:
            yield []
        for heading, (text, style) in zip(table.headings, row, strict=True):
            label = f"{heading}{' ' * (longest - _length(heading))}{_GAP}"
            if text and _length(label) + _length(text) <= width:
                yield [(label, "bold"), (text, style)]
            elif text:
                yield [(heading, "bold")]
                yield from ([(f"{_GAP}{part}", style)] for part in _broken(text, width - len(_GAP)))


def _broken(text: str, width: int) -> list[str]:
    """A text as lines, broken between words only."""
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False) or [""]
