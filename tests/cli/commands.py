"""The installed command, run as a person runs it; and every command that there is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from preloaded import READ_AT_IMPORT, Preloaded

from xlir_bench.cli.main import cli

PROGRAM = str(Path(sys.executable).parent / "xlir-bench")

_PRELOADED = (Preloaded(transformers=True), Preloaded(transformers=False))
_TIMEOUT = 300
_AT_FIRST = dict(os.environ)


def _inherited() -> dict[str, str]:
    """This process's environment; what libraries read when they are loaded as it was before tests loaded some."""
    left_out = (*READ_AT_IMPORT, "GITHUB_")
    now = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return now | {name: value for name, value in _AT_FIRST.items() if name.startswith(READ_AT_IMPORT)}


def xlir_bench(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run the command; `env` is added to this process's environment, without the variables of GitHub's actions.

    With `columns`, its standard output is a terminal of that width.
    It runs in a copy of a process that has loaded the libraries, unless `afresh` is true, options of `subprocess.run`
    are given other than the folder (`cwd`), or the environment changes what libraries read when they are loaded.
    """
    environment = _inherited() | options.pop("env", {})
    columns = options.pop("columns", None)
    afresh = options.pop("afresh", False) or options.keys() - {"cwd"}
    preloaded = next((one for one in _PRELOADED if one.serves(environment)), None)
    line = [*map(str, arguments)]
    if preloaded is not None and not afresh:
        folder = options.get("cwd")
        return preloaded.run(
            line, environment, folder=str(folder) if folder else None, timeout=_TIMEOUT, columns=columns
        )
    assert columns is None, "a terminal is for commands that run in a copy of the loaded process"
    streams = {} if "stdout" in options else {"capture_output": True}
    return subprocess.run(
        [PROGRAM, *line], **streams, text=True, check=False, env=environment, timeout=_TIMEOUT, **options
    )


def one_line(finished: subprocess.CompletedProcess[str], exit_code: int) -> str:
    """The last line on stderr of a refusal: `xlir-bench: error: ...`, without a traceback anywhere."""
    assert finished.returncode == exit_code, finished.stderr
    assert "Traceback" not in finished.stderr
    last = finished.stderr.splitlines()[-1]
    assert last.startswith("xlir-bench: error: "), finished.stderr
    return last


def every_command() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Names and command of each command and subcommand."""

    def below(names: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        yield names, command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=names[-1] if names else "xlir-bench")
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from below((*names, name), inner)

    return below((), cli)
