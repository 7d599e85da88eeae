"""Run the command in a copy of a process that has loaded the libraries already; starting takes seconds otherwise.

Run as a program, this file is that process. It reads one request a line, forks, and answers with the return code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO

READ_AT_IMPORT = ("LANG", "LC_", "MKL_", "NUMBA_", "OMP_", "OPENBLAS_", "PYTHON", "TORCH")
"""How the names of variables begin that libraries have read by then; a request may not change them."""

OF_TRANSFORMERS = ("HF_", "TRANSFORMERS_")
"""Likewise, where transformers is loaded too."""

LOADED = ("bm25s", "safetensors.numpy", "tokenizers", "torch")
COMMANDS = ("run", "suites", "report", "cache", "compare", "gate", "align", "audit", "export", "import_", "submit")


class Preloaded:
    """The process, started when it is first needed. One request at a time.

    Args:
        transformers: whether transformers and sentence-transformers are loaded too.
    """

    def __init__(self, *, transformers: bool) -> None:
        self._transformers = transformers
        self._process: subprocess.Popen[str] | None = None
        self._turn = threading.Lock()
        self._environment = dict(os.environ)
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def serves(self, environment: dict[str, str]) -> bool:
        """Whether the libraries would be the same in this environment."""
        fixed = READ_AT_IMPORT + OF_TRANSFORMERS if self._transformers else READ_AT_IMPORT
        names = {name for name in {*environment, *self._environment} if name.startswith(fixed)}
        return all(environment.get(name) == self._environment.get(name) for name in names)

    def run(
        self,
        arguments: list[str],
        environment: dict[str, str],
        *,
        folder: str | None = None,
        timeout: float = 300,
        columns: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end.

        Args:
            arguments: the command line, without the program.
            environment: all variables.
            folder: the working folder; None for that of this process.
            timeout: seconds after which the command and the process it was copied from are killed.
            columns: standard output is a terminal of that width; a file if it is not given.

        Raises:
            TimeoutError: the command took longer.
        """
        with self._turn, standard_output(columns) as out, tempfile.TemporaryFile() as err:
            process = self._started()
            request = {
                "arguments": arguments,
                "environment": environment,
                "folder": folder or str(Path.cwd()),
                "streams": [f"/proc/{os.getpid()}/fd/{number}" for number in (out.descriptor, err.fileno())],
            }
            print(json.dumps(request), file=process.stdin, flush=True)
            timer = threading.Timer(timeout, self.stop)
            timer.start()
            answer = process.stdout.readline()
            timer.cancel()
            if not answer:
                self.stop()
                raise TimeoutError(f"xlir-bench {' '.join(arguments)} took more than {timeout} s")
            return subprocess.CompletedProcess(["xlir-bench", *arguments], json.loads(answer), out.read(), _read(err))

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, __file__, *(["sentence_transformers"] if self._transformers else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self._environment,
            )
        return self._process


class _File:
    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.descriptor = file, file.fileno()

    def read(self) -> str:
        return _read(self._file)


class _Terminal:
    """A pseudo-terminal; what is written to it is collected by a thread, since it holds some kilobytes only."""

    def __init__(self, columns: int) -> None:
        import pty
        import termios

        self._outer, self.descriptor = pty.openpty()
        termios.tcsetwinsize(self.descriptor, (50, columns))
        self._written: list[bytes] = []
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        with suppress(OSError):  # EIO: nobody has the inner end open any more
            while part := os.read(self._outer, 65_536):
                self._written.append(part)

    def read(self) -> str:
        """All that was written, without the colours; nothing can be written afterwards."""
        os.close(self.descriptor)
        self._reader.join()
        os.close(self._outer)
        text = b"".join(self._written).decode().replace("\r\n", "\n")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)


@contextmanager
def standard_output(columns: int | None) -> Iterator[_File | _Terminal]:
    """A file, or a terminal of that many columns, that a command writes to."""
    if columns is not None:
        yield _Terminal(columns)
        return
    with tempfile.TemporaryFile() as file:
        yield _File(file)


def _read(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


def _become(request: dict) -> None:
    """Make this copy a command that was just started: its arguments, variables, folder and standard streams."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    for descriptor, name in ((0, os.devnull), *zip((1, 2), request["streams"], strict=True)):
        opened = os.open(name, os.O_RDWR | (os.O_APPEND if descriptor else 0))
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = [str(Path(sys.executable).parent / "xlir-bench"), *request["arguments"]]


def _load() -> Callable[[], None]:
    """Load what a command needs, with the functions that are compiled when they are first called; the entry point.

    Nothing is drawn here: V8, which draws charts, does not work in a copy of a process that has started it.
    """
    import xlir_bench

    for name in (*LOADED, *sys.argv[1:], *(f"xlir_bench.cli.{command}" for command in COMMANDS)):
        import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        xlir_bench.evaluate("random", "xlir-mini", languages=["de", "en"], output=f"{folder}/results")
    from xlir_bench.cli.main import main

    return main


def _end(main: Callable[[], None]) -> None:
    """Run the command and end the process as the interpreter does, but for the seconds of unloading the libraries."""
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _serve() -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main = _load()
    gc.freeze()
    for line in requests:
        child = os.fork()
        if child == 0:
            os.close(requests.fileno())
            os.close(answers.fileno())
            _become(json.loads(line))
            _end(main)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
