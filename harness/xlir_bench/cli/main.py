"""Entry point: the group of commands, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from keyword import iskeyword

import click

from xlir_bench import __version__
from xlir_bench.errors import XlirError

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
    "import": "Take published results as submissions.",
    "train": "Train encoders by recipes, or by a grid of them.",
    "submit": "Make, check and verify submissions.",
}


class _LazyGroup(click.Group):
    """Commands are imported when they are called, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"xlir_bench.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="xlir-bench")
def cli() -> None:
    r"""Cross-lingual retrieval, measured.

    How well does a text encoder find the right passage when query and passage may be in different languages, and how
    unfair is it to some of them?

    \b
      xlir-bench run xlir-hybrid-static             the bundled encoder on the bundled suite
      xlir-bench run bm25 --suite xquad-r --data D  a lexical baseline on XQuAD-R, files in D
      xlir-bench report results --output site       a page of all results

    Exit codes: 0 done, 1 the gate says no, 2 the input is wrong, 3 something is missing, 130 interrupted.
    """


def main() -> None:
    """Run the command line and exit."""
    try:
        exit_code = cli.main(prog_name="xlir-bench", standalone_mode=False)
        sys.stdout.flush()
    except XlirError as error:
        _say(f"error: {error}")
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _say("interrupted; what was encoded is kept: the same command goes on from there")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has left; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(exit_code if isinstance(exit_code, int) else 0)


def _say(message: str) -> None:
    click.echo(f"xlir-bench: {' '.join(message.split())}", err=True)
