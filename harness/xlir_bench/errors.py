"""The one exception family: what a person did or lacks, in one line each.

The command line prints the message and exits with `exit_code`; a message says what is wrong, where, and what to do.
Anything else that is raised is a fault of this package and keeps its traceback.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class XlirError(Exception):
    """Base of every error that is written for the person at the keyboard."""

    exit_code = 2


class InputError(XlirError):
    """Something given to the harness is wrong: a name, a file's content, an encoder's output. Exit code 2."""


class MissingResourceError(XlirError):
    """Something is not here: data that were not downloaded, a package that is not installed. Exit code 3."""

    exit_code = 3


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
        print(self.format(record), file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Say something that the person at the keyboard should know and that stops nothing: one line on stderr.

    Programs that use the package find it in the log `xlir_bench`.
    """
    log = logging.getLogger("xlir_bench")
    if not any(isinstance(handler, _CurrentStderr) for handler in log.handlers):
        handler = _CurrentStderr()
        handler.setFormatter(logging.Formatter("xlir-bench: warning: %(message)s"))
        log.addHandler(handler)
    log.warning("%s", " ".join(message.split()))
