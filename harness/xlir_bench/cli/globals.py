"""The options that every command takes, at any place of the command line: `--debug` and `--offline`."""

from __future__ import annotations

import os
import sys
import traceback

import click

DEBUG_VARIABLE = "XLIR_BENCH_DEBUG"

_OFF = frozenset({"", "0", "false", "no", "off"})
_state = {"debug": False}


def debugging() -> bool:
    """Whether errors are shown with their traceback, by `--debug` or by `XLIR_BENCH_DEBUG=1`."""
    return _state["debug"] or os.environ.get(DEBUG_VARIABLE, "").strip().lower() not in _OFF


def show_traceback(error: BaseException) -> None:
    """Print the traceback of an error and of all that caused it to stderr, if `debugging`."""
    if not debugging():
        return
    # Messages hide what a library raised (`raise ... from None`); with --debug that is what is asked for.
    link: BaseException | None = error
    seen = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__suppress_context__ = link.__cause__ is not None
        link = link.__cause__ or link.__context__
    traceback.print_exception(error, file=sys.stderr)


def add_global_options(command: click.Command) -> click.Command:
    """A command, and all its subcommands, with the options that it does not declare itself."""
    declared = {option for parameter in command.params for option in parameter.opts}
    command.params += [option for option in (_offline(), _debug()) if not declared.intersection(option.opts)]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_global_options(inner)
    return command


def _debug() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.  [env: XLIR_BENCH_DEBUG]",
    )


def _offline() -> click.Option:
    return click.Option(
        ["--offline"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=set_offline,
        help="Open no connection, whatever is missing.  [env: XLIR_BENCH_OFFLINE]",
    )


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        _state["debug"] = True


def set_offline(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Forbid the network if the option is given, or the variable asks for it; before any command is imported."""
    from xlir_bench.offline import forbid_network, is_offline

    if value or is_offline():
        forbid_network()
