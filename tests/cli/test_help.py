"""Every command's --help: examples one a line, the options that all have, the exit codes."""

from __future__ import annotations

import click
import pytest
from commands import every_command, xlir_bench

COMMANDS = dict(every_command())


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_no_help_has_a_literal_escape_or_a_line_too_long(names):
    command = COMMANDS[names]
    context = click.Context(command, info_name=" ".join(("xlir-bench", *names)), max_content_width=100)
    shown = command.get_help(context)
    assert "\\b" not in shown
    assert "\b" not in shown
    assert all(len(line) <= 100 for line in shown.splitlines())


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_takes_the_options_that_all_have_once(names):
    options = [option for parameter in COMMANDS[names].params for option in parameter.opts]
    assert options.count("--debug") == 1
    assert options.count("--offline") == 1


def test_the_help_of_the_program_shows_its_examples_one_a_line_and_every_exit_code():
    shown = xlir_bench("--help")
    assert shown.returncode == 0
    lines = [line.strip() for line in shown.stdout.splitlines()]
    assert sum(line.startswith("xlir-bench run ") for line in lines) == 2
    assert sum(line.startswith("xlir-bench report ") for line in lines) == 1
    below = lines[lines.index("Exit codes:") :]
    assert [line.split()[0] for line in below[1:] if line[:1].isdigit()] == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "70",
        "130",
        "141",
    ]
