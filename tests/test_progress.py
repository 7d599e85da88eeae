"""Progress where standard error is a file: few lines, each worth reading; nothing of work that is soon done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlir_bench.progress import bar
from xlir_bench.progress_lines import LoggedStage, lasting, speed


class Told:
    """A stage on a clock that stands still until it is moved, and the lines that it told."""

    def __init__(self, total: int, unit: str = "texts") -> None:
        self.now = 1000.0
        self.lines: list[str] = []
        self.stage = LoggedStage("encoding documents", total, unit, self.lines.append, lambda: self.now)

    def after(self, seconds: float, steps: int) -> None:
        self.now += seconds
        self.stage.advance(steps)


def test_a_stage_that_is_over_in_five_seconds_says_nothing():
    told = Told(100)
    for _ in range(10):
        told.after(0.5, 10)
    assert told.lines == []


def test_a_stage_that_took_longer_says_so_at_its_end():
    told = Told(100)
    told.after(4, 50)
    told.after(6, 50)
    assert told.lines == ["encoding documents: 100 texts in 10 s, 10 texts/s"]


def test_a_line_gives_what_is_done_the_rate_the_time_left_and_the_note():
    told = Told(131_072)
    told.stage.note("loss 0.31")
    told.after(10, 4_096)
    told.after(20, 8_192)
    assert told.lines == ["encoding documents: 12,288 of 131,072 texts (9 %), 410 texts/s, 4 min 50 s left, loss 0.31"]


def test_the_rate_is_that_of_the_time_since_the_last_line():
    told = Told(10_000)
    told.after(30, 300)
    told.after(30, 3_000)
    assert "10 texts/s" in told.lines[0]
    assert "100 texts/s, 1 min 07 s left" in told.lines[1]


def test_what_an_earlier_run_did_is_not_counted_into_the_rate():
    told = Told(10_000)
    told.after(0.1, 9_000)
    told.after(39.9, 800)
    told.after(10, 200)
    assert told.lines == [
        "encoding documents: 9,800 of 10,000 texts (98 %), 20 texts/s, 10 s left",
        "encoding documents: 10,000 texts in 50 s, 20 texts/s",
    ]


def test_slow_work_has_a_rate_too():
    told = Told(40, "steps")
    told.after(40, 3)
    assert told.lines == ["encoding documents: 3 of 40 steps (7 %), 13 s per step, 8 min 13 s left"]


def test_a_note_is_told_though_nothing_advances():
    told = Told(10)
    told.now += 29
    told.stage.note("waiting for a machine")
    assert told.lines == []
    told.now += 2
    told.stage.note("waiting for a machine")
    assert told.lines == ["encoding documents: 0 of 10 texts (0 %), waiting for a machine"]


def test_a_finished_stage_is_told_once():
    told = Told(10)
    told.after(60, 10)
    told.after(60, 0)
    told.stage.note("late")
    assert len(told.lines) == 1


def test_work_of_one_unit_says_how_long_it_took():
    told = Told(1, "step")
    told.after(12, 1)
    assert told.lines == ["encoding documents: done in 12 s"]


def test_one_thing_is_not_said_in_the_plural():
    told = Told(2, "queries")
    told.stage.advance(1)
    told.after(10, 1)
    assert told.lines == ["encoding documents: 2 queries in 10 s, 10 s per query"]


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0, ""),
        (1234.5, "1,234 queries/s"),
        (2.52, "2.5 queries/s"),
        (0.99, "1 s per query"),
        (0.4, "2.5 s per query"),
        (1 / 100, "1 min 40 s per query"),
    ],
)
def test_a_rate_below_one_a_second_is_the_time_of_one(rate, said):
    assert speed(rate, "queries") == said


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), max_size=60), st.integers(1, 1000))
def test_lines_of_one_stage_are_half_a_minute_apart_but_for_the_last(moves, total):
    told = Told(total)
    at = []
    for seconds, steps in moves:
        before = len(told.lines)
        told.after(seconds, steps)
        at += [told.now] * (len(told.lines) - before)
    finished = told.lines and " in " in told.lines[-1]
    times = [1000.0, *(at[:-1] if finished else at)]
    assert all(later - earlier >= 30 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (232, "3 min 52 s"),
        (3900, "1 h 05 min"),
        (7199, "2 h 00 min"),
    ],
)
def test_a_time_is_said_by_its_two_largest_units(seconds, said):
    assert lasting(seconds) == said


def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, capsys):
    for colours in ("", "1"):
        monkeypatch.setenv("FORCE_COLOR", colours)
        with bar() as progress:
            stage = progress.stage("encoding", 2, "texts")
            stage.advance()
            stage.note("soon")
            stage.advance()
        assert capsys.readouterr() == ("", "")


SLOW = """
    import time
    from xlir_bench import progress_lines
    from xlir_bench.progress import bar
    progress_lines.EVERY, progress_lines.WORTH_A_LINE, progress_lines._AT_ONCE = 0.05, 0.01, 0
    with bar() as progress:
        stage = progress.stage("encoding", 2, "texts")
        time.sleep(0.1)
        stage.advance()
        time.sleep(0.1)
        stage.advance()
"""


def test_a_file_gets_plain_lines_as_they_are_told(tmp_path):
    log = tmp_path / "log"
    with log.open("w") as stderr:
        subprocess.run([sys.executable, "-c", textwrap.dedent(SLOW)], check=True, stderr=stderr)
    lines = log.read_text().splitlines()
    assert [re.sub(r"\d[\d.]*", "N", line) for line in lines] == [
        "encoding: N of N texts (N %), N texts/s, N s left",
        "encoding: N texts in N s, N texts/s",
    ]


def drawn_on(columns: int, program: str = SLOW) -> list[str]:
    """What is drawn on a terminal of that width, a line each."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (50, columns))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stderr=inner, env=environment) as process:
        process.wait(30)
        os.close(inner)
    drawn = os.read(outer, 65_536).decode()
    os.close(outer)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


def test_a_terminal_gets_a_bar():
    lines = drawn_on(120)
    assert any("━" in line for line in lines)
    assert "2/2" in lines[-1]


STEPS = """
    import time
    from xlir_bench.progress import bar
    with bar() as progress:
        stage = progress.stage("encoding documents", 40, "texts")
        for _ in range(3):
            time.sleep(0.15)
            stage.advance(10)
        time.sleep(0.3)
"""


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_percent_and_time_left_are_whole_at_any_width(columns):
    lines = drawn_on(columns, STEPS)
    assert any(re.search(r"^encoding documents .*\b75 %.* \d+ s left", line) for line in lines), lines
    assert max(map(len, lines)) <= columns
    assert not any("…" in line for line in lines)
