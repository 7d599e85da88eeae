"""The page of a folder is built again where something in the folder has changed, and only there."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from xlir_bench import evaluate, leaderboard
from xlir_bench.api.pages import page_of


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    output = tmp_path_factory.mktemp("out")
    evaluate("random", "xlir-mini", languages=["de", "en"], output=output)
    return output


@pytest.fixture
def output(measured, tmp_path):
    return shutil.copytree(measured, tmp_path / "out")


@pytest.fixture
def built(monkeypatch):
    """How often a page was built."""
    calls = []
    rebuild = leaderboard.rebuild
    monkeypatch.setattr(leaderboard, "rebuild", lambda *given, **how: calls.append(given) or rebuild(*given, **how))
    return calls


def change_nothing(output):
    pass


def copy_result(output):
    shutil.copytree(output / "random", output / "copy")


def touch_result(output):
    os.utime(output / "random" / "xlir-mini.json", (1, 1))


def remove_ranks(output):
    (output / "random" / "xlir-mini.parquet").unlink()


def edit_page(output):
    (output / "index.html").write_text("edited")


def remove_page(output):
    (output / "index.html").unlink()


@pytest.mark.parametrize(
    ("change", "times"),
    [(change_nothing, 1), (touch_result, 2), (remove_ranks, 2), (edit_page, 2), (remove_page, 2), (copy_result, 2)],
)
def test_a_page_is_built_again_where_something_changed(output, built, change, times):
    first = page_of(output)
    change(output)
    again = page_of(output)
    assert len(built) == times
    assert "random" in again.index.read_text(encoding="utf-8")
    if change is change_nothing:
        assert again == first


def test_what_is_left_out_is_said_again(output, built):
    shutil.copytree(output / "random", output / "copy")
    false = json.loads((output / "random" / "xlir-mini.json").read_text(encoding="utf-8"))
    false["scores"][0]["value"] += 0.1
    (output / "random" / "xlir-mini.json").write_text(json.dumps(false), encoding="utf-8")
    first, again = page_of(output), page_of(output)
    assert len(built) == 1
    assert again == first
    assert len(again.refused) == 1
