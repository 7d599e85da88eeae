"""Entry point: the group of commands, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from keyword import iskeyword

import click

from xlir_bench import interrupts, streams
from xlir_bench.cli.globals import add_global_options, show_traceback
from xlir_bench.errors import InputError, XlirError, explained, show_warnings
from xlir_bench.version import __version__

_COMMANDS = {
    "run": "Measure a model on one or more suites.",
    "suites": "List, show, fetch and check the suites.",
    "report": "Build a static page from results.",
    "cache": "Show and prune stored vectors.",
    "compare": "Compare encoders by their stored results: differences, intervals, tests.",
    "gate": "Say whether a candidate is worse than a baseline, beyond a budget and beyond chance.",
    "align": "Say how alike an encoder makes translations, language by language.",
    "pairs": "Build, count and translate pairs of texts to train on.",
    "audit": "Say which texts of a suite stand in training data.",
    "export": "Write results as mteb, TREC, CSV, Parquet, LaTeX or JSON.",
    "plot": "Draw a figure for a paper: SVG, PDF or PNG.",
    "import": "Take published results as submissions.",
    "train": "Train encoders by recipes, or by a grid of them.",
    "submit": "Make, check and verify submissions.",
}

_HELP = """Cross-lingual retrieval, measured.

How well does a text encoder find the right passage when query and passage may be in different languages, and how
unfair is it to some of them?

\b
  xlir-bench run xlir-hybrid-static             the bundled encoder on the bundled suite
  xlir-bench run bm25 --suite xquad-r --data D  a lexical baseline on XQuAD-R, files in D
  xlir-bench report results --output site       a page of all results
"""

_EXIT_CODES = (
    ("0", "done"),
    ("1", "`gate`: the candidate does not pass; nothing else ends with 1"),
    ("2", "the input is wrong: an option, a file's content, what an encoder returned"),
    ("3", "something is missing: a file, data, a package, room on the disk"),
    ("4", "`audit`: texts of the suite stand in the training data"),
    ("70", "internal error, a fault of xlir-bench"),
    ("130", "interrupted (Ctrl-C)"),
    ("141", "the program that reads the output has ended"),
)

_INTERRUPTED = 130


class _LazyGroup(click.Group):
    """Commands are imported when they are called, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name not in self.commands:
            module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
            command: click.Command = import_module(f"xlir_bench.cli.{module}").command
            self.add_command(add_global_options(command), cmd_name)
        return self.commands[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl(_EXIT_CODES)


@click.group(
    cls=_LazyGroup, help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="xlir-bench")
def cli() -> None:
    """All commands; see `_HELP`."""
    show_warnings()


add_global_options(cli)


def main() -> None:
    """Run the command line and exit."""
    streams.take_over()
    code = _exit_code()
    try:
        streams.finish()
    except XlirError as error:
        code = code or _refused(error)
    except streams.ReaderLeftError:
        code = code or streams.READER_LEFT
    streams.leaving(code)
    sys.exit(code)


def _exit_code() -> int:
    """Run the command; the code that its end means. Errors are printed."""
    try:
        if "_XLIR_BENCH_COMPLETE" in os.environ:
            cli.main(prog_name="xlir-bench")  # a shell asks for completions; this ends with SystemExit
        # Not `cli.main`, which ends with 1 on every broken pipe, and takes EOFError for an interrupt.
        with cli.make_context("xlir-bench", sys.argv[1:]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt) as interrupt:
        show_traceback(interrupt)
        kept = interrupts.kept(interrupt)
        _say(f"interrupted; {kept}" if kept else "interrupted")
        return _INTERRUPTED
    except click.ClickException as error:
        show_traceback(error)
        error.show()
        return InputError.exit_code
    except streams.ReaderLeftError:
        return streams.READER_LEFT
    except BaseException as error:
        return _refused(error if isinstance(error, XlirError) else explained(error))
    return 0


def _refused(error: XlirError) -> int:
    show_traceback(error)
    _say(f"error: {error}")
    return error.exit_code


def _say(message: str) -> None:
    line = " ".join(message.split())
    click.echo(f"xlir-bench: {line}", err=True)
