"""The exceptions of this package: one message of one line each, and the exit code of the command line.

A message says what is wrong, where, and what to do. The command line prints it and exits with `exit_code`. Any other
exception that reaches the command line is a fault of this package and becomes an `InternalError`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from xlir_bench.redaction import redacted

if TYPE_CHECKING:
    from pydantic import ValidationError


LONGEST_MESSAGE = 4000
"""Characters of an error's message; files and names in it may be of any length."""


class XlirError(Exception):
    """Base of every error that is written for the person at the keyboard.

    Args:
        message: what is wrong, where, and what to do. It may quote a file that a stranger wrote: it is kept as one line
            of printable characters, cut where it is very long.
    """

    exit_code = 2

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(message, LONGEST_MESSAGE))


class InputError(XlirError):
    """Something given to the harness is wrong: a name, a file's content, an encoder's output. Exit code 2."""


class MissingResourceError(XlirError):
    """Something is not here: data that were not downloaded, a package that is not installed. Exit code 3."""

    exit_code = 3


class InternalError(XlirError):
    """A fault of this package: an exception that nothing here expects. Exit code 70, EX_SOFTWARE of sysexits.h."""

    exit_code = 70

    @classmethod
    def of(cls, error: BaseException) -> InternalError:
        """The error that reports an unexpected exception, which becomes its cause."""
        made = cls(f"internal error ({one_line(error)}): run again with --debug for the traceback, and report it")
        made.__cause__ = error
        return made


def explained(error: BaseException) -> XlirError:
    """What an exception that nothing here expects means to the person at the keyboard; it becomes the cause.

    What the system says of a file that was named is the person's to mend, and so is want of memory. The rest is a fault
    of this package.
    """
    made: XlirError
    if isinstance(error, MemoryError):
        made = MissingResourceError("there is not enough memory")
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        wrong = isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError | FileExistsError)
        made = (InputError if wrong else MissingResourceError)(f"{os.fsdecode(error.filename)}: {error.strerror}")
    else:
        return InternalError.of(error)
    made.__cause__ = error
    return made


def one_line(error: BaseException, most: int = 500) -> str:
    """The type and the message of an exception, in one line of printable characters, without secrets.

    Args:
        error: any exception, also one whose `__str__` fails.
        most: characters of the message that are kept.
    """
    try:
        message = str(error)
    except Exception:
        message = ""
    shown = printable(redacted(message), most)
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def printable(text: object, most: int = 200) -> str:
    """`text` in one line without control and direction characters, cut where it is long: for messages and terminals."""
    # Cut first: of a text of many megabytes no more is looked at than could be shown.
    line = " ".join(str(text)[: 64 * most].split())
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def counted(number: int, things: str) -> str:
    """A number of things, e.g. "1 query", "1,234 queries".

    Args:
        number: how many.
        things: what, in the plural.
    """
    return f"{number:,} {singular(things) if number == 1 else things}"


def singular(things: str) -> str:
    """One of some things: "query" for "queries"."""
    return f"{things.removesuffix('ies')}y" if things.endswith("ies") else things.removesuffix("s")


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str) -> InputError:
    """An error for a name that nothing answers to, with the nearest names that something does.

    Args:
        kind: what the name should have been, e.g. "suite".
        name: what was given.
        known: every name that would have been right.
        hint: what to do, e.g. "see `xlir-bench suites list`".
    """
    candidates = sorted(known)
    near = get_close_matches(name, candidates, n=3, cutoff=0.5)
    suggestion = f"did you mean {' or '.join(near)}? " if near else ""
    return InputError(f"unknown {kind} {name!r}: {suggestion}{hint}")


def at(path: Path | str, line: int | None = None) -> str:
    """A place in a file, as an editor writes it: `path` or `path:line`."""
    return f"{path}:{line}" if line is not None else str(path)


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, as `place: what`, with the number of further ones."""
    problems = error.errors(include_url=False)
    place = ".".join(str(part) for part in problems[0]["loc"]) or "the document"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{place}: {problems[0]['msg'].removeprefix('Value error, ')}{more}"


class _CurrentStderr(logging.Handler):
    """Writes to what is stderr at that moment: programs, and tests, replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        print(redacted(self.format(record)), file=sys.stderr, flush=True)


_shown = {"by a command": False}


def show_warnings() -> None:
    """Have `warn` write to standard error by itself: for commands. A program that uses the package has its own logs."""
    _shown["by a command"] = True


def warn(message: str) -> None:
    """Say something that the person at the keyboard should know and that stops nothing: one line on stderr.

    Programs that use the package find it in the log `xlir_bench`.
    """
    log = logging.getLogger("xlir_bench")
    if _shown["by a command"] and not any(isinstance(handler, _CurrentStderr) for handler in log.handlers):
        handler = _CurrentStderr()
        handler.setFormatter(logging.Formatter("xlir-bench: warning: %(message)s"))
        log.addHandler(handler)
    log.warning("%s", printable(message, LONGEST_MESSAGE))
