"""What an interrupted command has kept, said by the code that kept it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def keeps(what: str, when: Callable[[], bool] = lambda: True, *, alone: bool = False) -> Iterator[None]:
    """An interrupt that passes through here says what is kept. A context manager, or a decorator.

    Args:
        what: e.g. "what arrived is kept: the same command goes on from there". One sentence is said once.
        when: asked when the interrupt comes; nothing is said if it answers no.
        alone: say it only where nothing else is said.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        said = getattr(interrupt, "__notes__", ())
        if what not in said and not (alone and said) and when():
            interrupt.add_note(what)
        raise


def kept(interrupt: BaseException) -> str:
    """What an interrupt says is kept, in one line; empty where nothing is."""
    return "; ".join(getattr(interrupt, "__notes__", ()))
