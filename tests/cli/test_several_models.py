"""`run` with several models: one table of all, one list, and none is lost to another."""

from __future__ import annotations

import json

import pytest
from commands import one_line, xlir_bench

import xlir_bench as xb

FEW = ("--languages", "de,en", "--measures", "nDCG@10,R@100")
MODELS = ("xlir-hybrid-static", "random", "bm25")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    made = xlir_bench("run", *MODELS, *FEW, "--output", folder, env={"COLUMNS": "250"})
    assert made.returncode == 0, made.stderr
    return folder, made


def test_a_table_of_all_models_marks_the_best_and_what_the_comparison_tells_apart(measured):
    folder, made = measured
    title, heading, *rows = made.stdout.strip().rpartition("\n\n")[2].splitlines()
    assert title.startswith("xlir-mini (de en)")
    assert heading.count("nDCG@10") == heading.count("R@100") == 3
    table = {model: cells for model, *cells in (row.split() for row in rows)}
    assert list(table) == list(MODELS)
    columns = [
        (setting, name) for setting in ("monolingual", "cross-lingual", "multilingual") for name in ("nDCG@10", "R@100")
    ]
    said = {
        (s.encoder, s.setting, s.measure): s
        for s in xb.compare([folder / model / "xlir-mini.json" for model in MODELS]).standings
    }
    for at, column in enumerate(columns):
        best = max(said[model, *column].mean for model in MODELS)
        for model in MODELS:
            figure, letters = table[model][2 * at : 2 * at + 2]
            assert float(figure.lstrip("*")) == pytest.approx(said[model, *column].mean, abs=6e-5)
            assert figure.startswith("*") == (said[model, *column].mean == best)
            assert letters == said[model, *column].groups
    assert len({table[model][1] for model in MODELS}) > 1


def test_json_is_one_list_of_results(measured):
    folder, _ = measured
    made = xlir_bench("run", *MODELS, *FEW, "--output", folder, "--json")
    results = json.loads(made.stdout)
    assert [one["model"]["name"] for one in results] == list(MODELS)
    assert made.stderr.count("finished by an earlier run") == 3
    for one, model in zip(results, MODELS, strict=True):
        assert one == json.loads((folder / model / "xlir-mini.json").read_text())


@pytest.mark.parametrize(("wrong", "code"), [("nosuch-model", 2), ("org/absent", 3)])
def test_a_model_that_fails_does_not_lose_the_others(measured, wrong, code):
    folder, _ = measured
    made = xlir_bench("run", "random", wrong, "bm25", *FEW, "--output", folder, env={"XLIR_BENCH_OFFLINE": "1"})
    last = one_line(made, code)
    assert wrong in last
    assert f"failed: {wrong}: " in made.stderr
    assert made.stdout.count("* best") == 1
    assert "random" in made.stdout.rpartition("* best")[2]
    assert "bm25" in made.stdout.rpartition("* best")[2]


def test_the_exit_code_is_that_of_the_worst_failure(measured):
    folder, _ = measured
    made = xlir_bench("run", "org/absent", "nosuch-model", *FEW, "--output", folder, env={"XLIR_BENCH_OFFLINE": "1"})
    one_line(made, 3)
    made = xlir_bench("run", "nosuch-model", "org/absent", *FEW, "--output", folder, env={"XLIR_BENCH_OFFLINE": "1"})
    one_line(made, 3)


def test_a_dry_run_of_several_models_plans_each_and_writes_nothing(tmp_path):
    made = xlir_bench("run", "random", "bm25", *FEW, "--output", tmp_path / "out", "--dry-run", "--json")
    assert [plan["model"] for plan in json.loads(made.stdout)] == ["random", "bm25"]
    assert not (tmp_path / "out").exists()
