"""A result that says what no run gives is refused by every command that reads one, in one line, and writes nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from commands import one_line, xlir_bench

from xlir_bench.errors import InputError
from xlir_bench.results import load_result


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A result, with its ranks."""
    output = tmp_path_factory.mktemp("results")
    assert xlir_bench("run", "random", "--output", output, "--languages", "de,en").returncode == 0
    return output / "random" / "xlir-mini.json"


def edited(stored: Path, folder: Path, place: tuple, value: object) -> Path:
    """The result with one value replaced, and no ranks beside it."""
    content = json.loads(stored.read_text())
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path = folder / "edited.json"
    path.write_text(json.dumps(content))
    return path


IMPOSSIBLE = {
    "a time that is NaN": (("timing", "encode_s"), math.nan, "a figure that is not finite"),
    "a rate without end": (("timing", "texts_per_s"), math.inf, "a figure that is not finite"),
    "ties that are NaN": (("ties",), math.nan, "a figure that is not finite"),
    "a detail that is NaN": (("model", "details"), {"a": [{"b": math.nan}]}, "a figure that is not finite"),
    "a score beyond measure": (("scores", 0, "value"), 1e308, "a figure of 1e+308"),
    "half a pair in the model": (("model", "name"), "m\ud800", "half of a surrogate pair"),
    "half a pair in the id": (("model", "id"), "m\ud800", "half of a surrogate pair"),
    "half a pair in the suite": (("suite", "name"), "s\udfff", "half of a surrogate pair"),
    "half a pair in the date": (("created",), "\ud800", "half of a surrogate pair"),
    "half a pair in a key": (("model", "details"), {"\ud800": 1}, "half of a surrogate pair"),
    "deep details": (("model", "details"), {"a": json.loads("[" * 900 + "]" * 900)}, "nested too deep"),
    "a negative number": (("scores", 0, "queries"), -1, "a number of texts"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_no_run_gives_is_not_read(stored, tmp_path, what):
    place, value, said = IMPOSSIBLE[what]
    path = edited(stored, tmp_path, place, value)
    with pytest.raises(InputError, match="not a result") as refused:
        load_result(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_result_nested_beyond_what_can_be_read_is_one_line(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    with pytest.raises(InputError, match="not a result"):
        load_result(path)


@pytest.mark.parametrize("arguments", [["export", "--format", "json"], ["export", "--format", "csv"], ["report"]])
@pytest.mark.parametrize("what", ["a time that is NaN", "a score beyond measure", "half a pair in the model"])
def test_commands_refuse_it_in_one_line_and_write_nothing(stored, tmp_path, arguments, what):
    place, value, said = IMPOSSIBLE[what]
    path = edited(stored, tmp_path, place, value)
    assert said in one_line(xlir_bench(arguments[0], path, *arguments[1:], "--output", tmp_path / "out"), 2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("created", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", ""])
def test_absurd_dates_do_not_end_a_report(stored, tmp_path, created):
    path = edited(stored, tmp_path, ("created",), created)
    assert xlir_bench("report", path, "--output", tmp_path / "site").returncode == 0


def test_a_model_of_an_endless_name_is_on_the_page(stored, tmp_path):
    path = edited(stored, tmp_path, ("model", "id"), "m" * 5000)
    built = xlir_bench("report", path, "--output", tmp_path / "site")
    assert built.returncode == 0, built.stderr
