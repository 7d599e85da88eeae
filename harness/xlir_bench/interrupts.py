"""What an interrupted command has kept, said by the code that kept it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keeps(what: str) -> Iterator[None]:
    """An interrupt that passes through here says what is kept.

    Args:
        what: e.g. "the vectors encoded so far are kept". One sentence is said once, wherever it is nested.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if what not in getattr(interrupt, "__notes__", ()):
            interrupt.add_note(what)
        raise


def kept(interrupt: BaseException) -> str:
    """What an interrupt says is kept, in one line; empty where nothing is."""
    return "; ".join(getattr(interrupt, "__notes__", ()))
