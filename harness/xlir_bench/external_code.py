"""Calling code that is not part of this package: a user's encoder, a model's own code, a library's loader.

Whatever such code raises becomes one line, and whatever it prints goes to standard error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xlir_bench.errors import InputError, XlirError, one_line
from xlir_bench.streams import stdout_to_stderr


@contextmanager
def external_code(who: str, what: str = "") -> Iterator[None]:
    """Turn what the code inside raises into an `InputError`; its prints go to standard error.

    `SystemExit` counts as an error too: `sys.exit(0)` in an encoder must not end a run with exit code 0 and no result.
    An interrupt stays an interrupt, and an error of this package stays what it is.

    Args:
        who: begins the message: the code that failed and its verb, e.g. "encoder my.py:build failed".
        what: what it was given, e.g. 'for 3 texts beginning with query "..." (id q1)'.

    Raises:
        InputError: the code raised something; that is the error's cause, for `--debug`.
    """
    try:
        with stdout_to_stderr():
            yield
    except (XlirError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        given = f" {what}" if what else ""
        raise InputError(f"{who}{given} ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    return one_line(error)
