"""Parts of a suite on the command line: kept beside the full result, and chosen by `--languages`."""

from __future__ import annotations

import json

import pytest
from commands import one_line, xlir_bench

THREE = ("--languages", "de,en,fi")
TWO = ("--languages", "de,en", "--settings", "monolingual")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models, each on three languages and then on two in one setting."""
    place = tmp_path_factory.mktemp("parts")
    for model in ("random", "bm25"):
        full = xlir_bench("run", model, *THREE, "--output", "out", cwd=place)
        assert full.returncode == 0, full.stderr
        before = {path: path.read_bytes() for path in (place / "out" / model).iterdir()}
        assert len(before) == 3
        part = xlir_bench("run", model, *TWO, "--output", "out", "--json", cwd=place)
        assert part.returncode == 0, part.stderr
        assert "xlir-mini.json is fuller" in part.stderr
        assert json.loads(part.stdout)["suite"]["languages"] == ["de", "en"]
        assert {path: path.read_bytes() for path in before} == before
    return place


def languages_of(finished):
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)["languages"]


def test_a_part_of_a_suite_is_measured_as_in_a_folder_of_its_own(folder):
    alone = xlir_bench("run", "bm25", *TWO, "--output", "alone", "--json", cwd=folder)
    [beside] = (folder / "out" / "bm25").glob("xlir-mini-de-en-monolingual-*.json")
    assert json.loads(alone.stdout)["scores"] == json.loads(beside.read_text())["scores"]


def test_compare_takes_the_fullest_or_the_languages_that_are_asked_for(folder):
    fullest = xlir_bench("compare", "out", "--json", cwd=folder)
    assert languages_of(fullest) == ["de", "en", "fi"]
    assert fullest.stderr.count("left out: ") == 1
    assert "(de en, monolingual: AP R@1)" in fullest.stderr
    assert languages_of(xlir_bench("compare", "out", "--json", "--languages", "en,de", cwd=folder)) == ["de", "en"]
    refused = xlir_bench("compare", "out", "--languages", "de,fi", cwd=folder)
    assert "no result on de fi alone; it has results on" in one_line(refused, 2)


def test_gate_and_export_take_languages_too(folder):
    gate = ("gate", "out/bm25", "--baseline", "out/bm25", "--json")
    for asked, count in (((), 3), (("--languages", "de,en"), 2)):
        checks = json.loads(xlir_bench(*gate, *asked, cwd=folder).stdout)["checks"]
        assert len({check["query_language"] for check in checks if check["setting"] == "monolingual"} - {"*"}) == count
        rows = xlir_bench("export", "out/bm25", "--format", "json", *asked, cwd=folder)
        assert [len(one["suite"]["languages"]) for one in json.loads(rows.stdout)] == [count]
