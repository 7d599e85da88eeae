"""Tables that the commands print: no figure and no name is cut, in a pipe or on a terminal of any width."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import xlir_bench
from leaderboard.measured_runs import make
from pair_stores import parallel, save

from xlir_bench.cli.tables import Table, print_table, print_text

WIDTHS = (40, 80, 120)
FIGURE = re.compile(r"[+-]?[\d,]*\.?\d+%?|<\.001")
LONG = "a-family-of-multilingual-encoders-large-instruct"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Results of three encoders, a pair store, and a cache with vectors."""
    place = tmp_path_factory.mktemp("tables")
    make(place / "results", {LONG: 0.1, "near": 0.3, "far": 5.0})
    save(place / "pairs.parquet", parallel(3, dataset="a-data-set-with-a-long-name-of-its-own"))
    here = {"cwd": place, "env": {"XLIR_BENCH_CACHE": str(place / "cache")}}
    for arguments in (
        ("run", "random", "--languages", "de,en", "--output", "others"),
        ("submit", "new", LONG),
    ):
        finished = xlir_bench(*arguments, **here)
        assert finished.returncode == 0, finished.stderr
    shutil.copytree(place / "results" / LONG, place / "submissions" / LONG / "results", dirs_exist_ok=True)
    shutil.copytree(place / "cache", place / "kept")
    return place


COMMANDS = {
    "suites list": ("suites", "list"),
    "suites check": ("suites", "check", "xlir-mini"),
    "suites show": ("suites", "show", "xlir-mini"),
    "compare": ("compare", "results"),
    "gate": ("gate", f"results/{LONG}", "--baseline", "results/far"),
    "align": ("align", "random"),
    "run": ("run", "random", "--languages", "de,en", "--output", "others"),
    "pairs info": ("pairs", "info", "pairs.parquet"),
    "cache info": ("cache", "info"),
    "submit validate": ("submit", "validate", f"submissions/{LONG}"),
    "submit verify": ("submit", "verify", f"submissions/{LONG}"),
}


def environment(folder: Path, name: str) -> dict[str, str]:
    """For a command; the cache that is listed is used by no other."""
    return {"XLIR_BENCH_CACHE": str(folder / ("kept" if name == "cache info" else "cache")), "COLUMNS": ""}


_outputs: dict[tuple[object, ...], str] = {}


def run_in(folder: Path, name: str, *more: str, columns: int | None = None) -> str:
    """What a command writes; each is run once."""
    wanted = (folder, name, *more, columns)
    if wanted not in _outputs:
        finished = xlir_bench(*COMMANDS[name], *more, cwd=folder, env=environment(folder, name), columns=columns)
        assert "Traceback" not in finished.stderr
        assert finished.stdout, finished.stderr
        _outputs[wanted] = finished.stdout
    return _outputs[wanted]


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def is_shown(value: float, words: set[str]) -> bool:
    """Whether one of the ways to print a figure with three digits or more of it is there."""
    forms = {f"{value:{sign}.{digits}f}" for sign in ("", "+") for digits in (2, 3, 4)}
    forms |= {f"{value:{sign},.1f}" for sign in ("", "+")} | {f"{value:,}", f"{value:.1%}", "<.001"}
    return bool(forms & words)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_gets_whole_lines_whatever_the_environment_says_of_its_width(folder, name):
    narrow = environment(folder, name) | {"COLUMNS": "40", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    finished = xlir_bench(*COMMANDS[name], cwd=folder, env=narrow)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", finished.stdout)
    assert plain == run_in(folder, name)
    assert not re.search("[\u2026\u2500-\u257f]", plain)
    assert all(line == line.rstrip() for line in plain.splitlines())


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_shows_every_word_and_every_figure_of_it_whole(folder, name, columns):
    shown, piped = run_in(folder, name, columns=columns), run_in(folder, name)
    assert not re.search("[\u2026\u2500-\u257f]", shown)
    words, expected = Counter(shown.split()), Counter(piped.split())
    assert set(expected) - {"floor"} <= set(words)  # the heading of a column that is empty here
    if name != "suites list":  # its version is said once where it is the same everywhere
        assert {word: n for word, n in expected.items() if FIGURE.fullmatch(word) and words[word] < n} == {}
    longest = max(len(word) for word in expected)
    if name != "suites show":  # YAML is for programs
        assert max(map(len, shown.splitlines())) <= max(columns, longest + 4)


@pytest.mark.parametrize("columns", [None, *WIDTHS])
def test_every_figure_and_name_of_the_json_of_a_comparison_is_in_its_tables(folder, columns):
    found = json.loads(run_in(folder, "compare", "--json"))
    words = set(run_in(folder, "compare", columns=columns).split())
    for entry in (*found["standings"], *found["settings"], *found["gains"], *found["losses"]):
        for key, value in entry.items():
            if isinstance(value, str) and "language" not in key:
                assert value in words
        for value in leaves({key: value for key, value in entry.items() if key != "p"}):
            assert not isinstance(value, float) or is_shown(value, words), value


@pytest.mark.parametrize("columns", [None, *WIDTHS])
@pytest.mark.parametrize("name", ["gate", "align", "suites check", "run"])
def test_every_figure_of_the_json_is_in_the_tables(folder, name, columns):
    found = json.loads(run_in(folder, name, "--json").splitlines()[0])
    tables = {
        "gate": lambda: [
            [check[key] for key in ("baseline", "candidate", "loss", "interval", "adjusted_p", "floor")]
            for check in found["checks"]
        ],
        "align": lambda: [
            found["cka"],
            [[pair["cka"], pair["alignment"]] for pair in found["pairs"]],
            [[space[key] for key in ("uniformity", "mean_cosine", "isotropy", "hubness")] for space in found["spaces"]],
        ],
        "suites check": lambda: [
            [row[key] for key in ("queries", "documents", "judgements", "query_script_share", "document_script_share")]
            for row in found["languages"]
        ],
        "run": lambda: found["summary"],
    }
    words = set(run_in(folder, name, columns=columns).split())
    missing = [value for value in leaves(tables[name]()) if value is not None and not is_shown(value, words)]
    assert missing == []


@pytest.mark.parametrize("columns", [None, *WIDTHS])
def test_every_suite_is_listed_by_its_whole_name_with_its_whole_licence(folder, columns):
    found = json.loads(run_in(folder, "suites list", "--json"))
    shown = run_in(folder, "suites list", columns=columns)
    for suite in found:
        assert suite["name"] in shown.split()
        assert suite.get("licence", "") in shown


@pytest.mark.parametrize("columns", [None, *WIDTHS])
def test_every_model_of_the_cache_is_listed_by_its_whole_name(folder, columns):
    found = json.loads(run_in(folder, "cache info", "--json"))
    words = run_in(folder, "cache info", columns=columns).split()
    assert found["models"]
    for model in found["models"]:
        assert model["id"] in words
        assert f"{model['vectors']:,}" in words


@pytest.fixture
def terminal(monkeypatch):
    """Make standard output a terminal of that many columns."""

    def of(columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return of


def printed(table: Table, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_table(table)
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


def table_of(*rows: tuple[str, ...], keys: int = 1) -> Table:
    table = Table(("name", "setting", "AP", "R@10"), "means", figures=(2, 3), keys=keys)
    for row in rows:
        table.add_row(*row)
    return table


ROWS = (("one", "mono", "0.1234", "0.5678"), ("another", "mono", "0.9", "12.0"))


def test_a_table_that_fits_is_printed_as_it_is(terminal, capsys):
    terminal(40)
    assert printed(table_of(*ROWS), capsys) == [
        "means",
        "name     setting      AP    R@10",
        "one      mono     0.1234  0.5678",
        "another  mono        0.9    12.0",
    ]


def test_what_is_the_same_in_every_row_is_said_once_where_columns_are_few(terminal, capsys):
    terminal(25)
    assert printed(table_of(*ROWS), capsys) == [
        "means",
        "in every row: setting",
        "mono",
        "name         AP    R@10",
        "one      0.1234  0.5678",
        "another     0.9    12.0",
    ]


def test_a_table_is_printed_in_parts_with_the_names_of_its_rows(terminal, capsys):
    terminal(17)
    rows = [*ROWS, ("third", "multi", "0.5", "0.6")]
    assert printed(table_of(*rows), capsys) == [
        "means",
        *("name     setting", "one      mono", "another  mono", "third    multi", ""),
        *("name         AP", "one      0.1234", "another     0.9", "third       0.5", ""),
        *("name       R@10", "one      0.5678", "another    12.0", "third       0.6"),
    ]


def test_a_row_is_a_block_where_nothing_fits_beside_its_name(terminal, capsys):
    terminal(20)
    long = "an-encoder-with-a-long-name"
    assert printed(table_of((long, "mono", "0.1234", "0.5678"), ("x", "multi", "1", "2"), keys=2), capsys) == [
        "means",
        *("name", f"  {long}", "setting  mono", "AP       0.1234", "R@10     0.5678", ""),
        *("name     x", "setting  multi", "AP       1", "R@10     2"),
    ]


def test_markup_and_control_characters_in_a_name_are_text(capsys):
    shown = printed(table_of(("[bold]a:dog:[/bold]", "\x1b[31mred", "1", "2")), capsys)
    assert shown[2].split() == ["[bold]a:dog:[/bold]", "\N{REPLACEMENT CHARACTER}[31mred", "1", "2"]


def test_wide_letters_are_counted_as_the_terminal_shows_them(capsys):
    table = Table(("名前", "AP"))
    table.add_row("多言語", "1")
    assert printed(table, capsys) == ["名前    AP", "多言語   1"]


def test_a_sentence_is_broken_between_words_on_a_terminal_only(terminal, capsys):
    sentence = "the loss of 0.1234 is-not-broken anywhere"
    print_text(sentence)
    assert capsys.readouterr().out == f"{sentence}\n"
    terminal(12)
    print_text(sentence, indent=2)
    assert capsys.readouterr().out.splitlines() == ["  the loss", "  of 0.1234", "  is-not-broken", "  anywhere"]


def test_the_table_of_a_sweep_is_whole_too(terminal, capsys):
    from xlir_bench.cli.train import _print
    from xlir_bench.training.sweep import Swept

    figures = {
        "monolingual AP": {"mean": 0.5432, "low": 0.5, "high": 0.6},
        "multilingual rank_distance": {"mean": 123.4, "low": 100.0, "high": 150.0},
    }
    rows = [{"varied": {"strategy": name}, "seeds": 2, "measures": figures} for name in ("hybrid", "monolingual")]
    swept = Swept({"measures": [*figures], "summary": rows}, Path("t"), Path("f"), ("strategy",))
    _print(swept)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "hybrid           2  0.5432 ± 0.0432         123.4 ± 23.4",
        "monolingual      2  0.5432 ± 0.0432         123.4 ± 23.4",
    ]
    terminal(30)
    _print(swept)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert shown.count("0.5432 ± 0.0432") == shown.count("123.4 ± 23.4") == 2
