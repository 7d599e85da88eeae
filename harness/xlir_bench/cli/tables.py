"""Tables as the commands print them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def plain_table(headings: Sequence[str], title: str | None = None, *, figures: Collection[int] | None = None) -> Table:
    """An empty table without lines, its title on the left.

    Args:
        headings: of the columns.
        title: of the table.
        figures: columns of figures, which stand to the right; all but the first if it is not given.
    """
    from rich.table import Table

    table = Table(*headings, title=title, title_justify="left", box=None)
    for number in range(1, len(headings)) if figures is None else figures:
        table.columns[number].justify = "right"
    return table
