"""Standard output and standard error of the command line: results on stdout, everything else on stderr.

`take_over` is called once, by the command line. From then on

- file descriptor 1 is a copy of standard error, so that what a C library, a child process or `os.write(1, ...)` prints
  cannot get between the results;
- `sys.stdout` writes to the real standard output from the main thread, and to standard error from every other thread
  and inside `stdout_to_stderr`;
- code inside `stdout_to_stderr` that replaces or closes `sys.stdout` or `sys.stderr` does so for itself only;
- what is written to `sys.stderr` has no secrets, tracebacks included;
- `os._exit` ends this process with an error, or with the exit code that `leaving` was told.

A program that uses this package as a library never calls `take_over`; its streams stay as they are.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO, cast

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.redaction import redacted

READER_LEFT = 141
"""Exit code where the program that reads our output has ended: 128 + SIGPIPE, as a shell reports it for other tools."""

_ESCAPES = "xlir-bench-escapes"


class ReaderLeftError(SystemExit):
    """Nobody reads standard output any more (`xlir-bench ... | head -1`): there is nothing left to do or to say."""

    def __init__(self) -> None:
        super().__init__(READER_LEFT)


class _State:
    """What `take_over` has done in this process."""

    def __init__(self) -> None:
        self.output: _Output | None = None
        self.exit_code: int | None = None


_state = _State()
_diverted = threading.local()


def take_over() -> None:
    """Separate this process's results from everything else that prints; see the module's description."""
    if _state.output is not None:
        return
    codecs.register_error(_ESCAPES, _escaped)
    missing = _open_standard_files()
    errors = sys.stderr if 2 not in missing and sys.stderr is not None else None
    sys.stderr = cast(TextIO, _Diagnostics(errors))
    _state.output = _Output(_own_output(1 in missing))
    sys.stdout = cast(TextIO, _state.output)
    _guard_exit()


def leaving(code: int) -> None:
    """The process ends now with this code, whatever code that runs at exit wants."""
    _state.exit_code = code


def _guard_exit() -> None:
    """Let `os._exit` in this process say that it was called: with code 0 it would look like a run that is done."""
    leave, process = os._exit, os.getpid()

    def guarded(status: int) -> NoReturn:
        if os.getpid() != process:  # a child, which ends so
            leave(status)
        if _state.exit_code is not None:
            leave(_state.exit_code)
        with suppress(OSError):
            os.write(2, f"xlir-bench: error: code that was called ended the process (os._exit({status!r}))\n".encode())
        leave(InputError.exit_code)

    os._exit = guarded


def finish() -> None:
    """Write what is still buffered for standard output. What is printed afterwards, at exit, goes to standard error.

    Raises:
        MissingResourceError: it cannot be written.
        ReaderLeftError: nobody reads it.
    """
    output = _state.output
    if output is None:
        return
    try:
        output.flush()
    finally:
        output.close_own()


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What this thread prints inside goes to standard error, if `take_over` was called; else nothing changes."""
    depth = getattr(_diverted, "depth", 0)
    streams = sys.stdout, sys.stderr
    _diverted.depth = depth + 1
    try:
        yield
    finally:
        _diverted.depth = depth
        if _state.output is not None and threading.current_thread() is threading.main_thread():
            sys.stdout, sys.stderr = streams


class _Diagnostics(io.TextIOBase):
    """Standard error. It may be closed or full: what is computed does not depend on whether messages are read."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=_encoding(stream), errors="backslashreplace")

    @property
    def buffer(self) -> io.BufferedIOBase:
        return cast(io.BufferedIOBase, self._stream.buffer) if self._stream is not None else io.BytesIO()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding if self._stream is not None else "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def __getattr__(self, name: str) -> object:  # reconfigure, line_buffering, mode, ...
        return getattr(self._stream, name)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._stream is not None:
            if self._stream.closed:  # by code that got hold of it, or of its buffer
                self._stream = open(2, "w", encoding="utf-8", errors=self.errors, closefd=False)  # noqa: SIM115
            with suppress(OSError):
                self._stream.write(redacted(text))
        return len(text)

    def close(self) -> None:
        """Nothing: whoever closes it is not its owner."""

    def flush(self) -> None:
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.flush()

    def isatty(self) -> bool:
        if self._stream is None:
            return False
        return os.isatty(2) if self._stream.closed else self._stream.isatty()

    def fileno(self) -> int:
        return 2


class _Output(io.TextIOBase):
    """`sys.stdout`: the real one where the command line prints its results, standard error everywhere else."""

    def __init__(self, own: TextIO | None) -> None:
        self._own = own
        self._closed = own is None
        self._over = False

    def _chosen(self) -> TextIO | None:
        """The stream that is written to now; None for the real standard output where it is closed."""
        foreign = self._over or getattr(_diverted, "depth", 0) > 0
        if foreign or threading.current_thread() is not threading.main_thread():
            return sys.stderr
        return self._own

    def close(self) -> None:
        """Nothing: whoever closes it is not its owner."""

    def close_own(self) -> None:
        """Give up the real standard output; what could not be written is dropped."""
        self._over = True
        own, self._own = self._own, None
        if own is not None:
            # Closing a stream writes its buffer, which failed before if there is one left.
            with suppress(OSError, ValueError):
                own.close()

    @property
    def buffer(self) -> io.BufferedIOBase:
        stream = self._chosen()
        return cast(io.BufferedIOBase, stream.buffer) if stream is not None else io.BytesIO()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        stream = self._chosen()
        return stream.encoding if stream is not None else "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        stream = self._chosen()
        return stream.errors if stream is not None else "strict"

    def __getattr__(self, name: str) -> object:  # reconfigure, line_buffering, mode, ...
        return getattr(self._chosen(), name)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        stream = self._chosen()
        if stream is None:
            if text and self._closed:
                raise _unwritten(OSError(errno.EBADF, os.strerror(errno.EBADF)))
            return len(text)
        try:
            return stream.write(text)
        except OSError as error:
            raise _unwritten(error) from None

    def flush(self) -> None:
        stream = self._chosen()
        if stream is None:
            return
        try:
            stream.flush()
        except OSError as error:
            raise _unwritten(error) from None

    def isatty(self) -> bool:
        stream = self._chosen()
        return stream is not None and stream.isatty()

    def fileno(self) -> int:
        stream = self._chosen()
        if stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return stream.fileno()


def _unwritten(error: OSError) -> BaseException:
    if error.errno == errno.EPIPE:
        return ReaderLeftError()
    return MissingResourceError(f"cannot write to standard output: {error.strerror or error}; send it somewhere else")


def _open_standard_files() -> set[int]:
    """Which of the three standard descriptors are closed; they are opened on the null device.

    Else the next file that is opened would get the number, and whatever prints to it would write into that file.
    """
    missing = set()
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            missing.add(descriptor)
            os.open(os.devnull, os.O_RDWR)  # gives the lowest number that is free
    return missing


def _own_output(closed: bool) -> TextIO | None:
    """The real standard output under another descriptor; descriptor 1 becomes a copy of standard error."""
    given = sys.stdout
    if closed or given is None:
        return None
    with suppress(OSError):
        given.flush()
    try:
        descriptor = given.fileno()
    except (OSError, ValueError):
        return given  # not a file: a test, or an embedding program, has replaced it
    if descriptor != 1:
        return given
    own = os.dup(1)
    os.dup2(2, 1)
    return open(  # noqa: PTH123  (a descriptor, open as long as the process)
        own, "w", encoding=_encoding(given), errors=_ESCAPES, buffering=1 if given.isatty() else -1
    )


def _encoding(stream: TextIO) -> str:
    """The encoding of a stream, or UTF-8 where that is ASCII, as Python itself does in the C locale."""
    try:
        name = codecs.lookup(stream.encoding).name
    except LookupError:
        return "utf-8"
    return "utf-8" if name == "ascii" else name


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Characters that the encoding lacks as `\uXXXX`, with which JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end
