"""Calling code that is not part of this package: a user's encoder, a model's own code, a library's loader.

Whatever such code raises becomes one line, and whatever it prints goes to standard error. What it does to the process,
such as to change a setting of it (see `process_settings`) or to fork, does not reach the code around it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from xlir_bench.errors import InputError, XlirError, one_line
from xlir_bench.process_settings import own_settings
from xlir_bench.streams import stdout_to_stderr


@contextmanager
def external_code(
    who: str, what: str = "", kind: type[XlirError] = InputError, *, owner: str | None = None
) -> Iterator[None]:
    """Turn what the code inside raises into an error of one line; its prints go to standard error.

    `SystemExit` counts as an error too: `sys.exit(0)` in an encoder must not end a run with exit code 0 and no result.
    An interrupt stays an interrupt, and an error of this package stays what it is.

    Args:
        who: begins the message: the code that failed and its verb, e.g. "encoder my.py:build failed".
        what: what it was given, e.g. 'for 3 texts beginning with query "..." (id q1)'.
        kind: the class of the error.
        owner: whose settings of the process it finds, e.g. a model's id; those of `who` if none is given.

    Raises:
        XlirError: of that kind; the code raised something; that is the error's cause, for `--debug`.
    """
    try:
        with stdout_to_stderr(), own_settings(owner or who), _own_process():
            yield
    except (XlirError, KeyboardInterrupt):
        raise
    except BaseException as error:
        given = f" {what}" if what else ""
        raise kind(f"{who}{given} ({_reason(error)})") from error


@contextmanager
def _own_process() -> Iterator[None]:
    """A child that such code forks ends here: it must not go on as a second run of the same command."""
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(InputError.exit_code)


def _reason(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    # Libraries wrap what went wrong in an error that does not say it.
    return one_line(error) if root is error else f"{one_line(error)}, because of {one_line(root)}"
