"""`xlir-bench train sweep`: what is trained, what is kept, what is written."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_stores import parallel, save
from scipy.stats import ttest_1samp

from xlir_bench.cli.main import cli
from xlir_bench.errors import InputError
from xlir_bench.training.grid import read_grid
from xlir_bench.training.runner import RECORD
from xlir_bench.training.sweep import summarise, sweep
from xlir_bench.training.tradeoff import draw

BASE = {
    "start": "static",
    "data": ["pairs.parquet"],
    "steps": 20,
    "batch": 16,
    "static": {"dimensions": 16, "latent": 8, "pieces": 2300, "sample": 50_000},
}


def grid_file(folder: Path, **fields: object) -> Path:
    content: dict[str, Any] = {"base": BASE, "grid": {"alpha": [0, 1]}, "seeds": [1, 2], "held_out": ["dev.parquet"]}
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**content, **fields}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    save(folder / "pairs.parquet", parallel(40))
    save(folder / "dev.parquet", parallel(12, dataset="dev", first=1000))
    return folder


def finished_at(output: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in (output / "runs").glob(f"*/{RECORD}")}


@pytest.mark.slow
def test_a_sweep_trains_measures_draws_and_keeps_what_is_done(folder: Path) -> None:
    output = folder / "out"
    asked = ["train", "sweep", str(grid_file(folder)), "--output", str(output), "--jobs", "2", "--json"]
    result = CliRunner().invoke(cli, asked)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == json.loads((output / "sweep.json").read_text(encoding="utf-8"))
    assert [(run["varied"], run["seed"]) for run in document["runs"]] == [
        ({"alpha": alpha}, seed) for alpha in (0, 1) for seed in (1, 2)
    ]
    with (output / "runs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["monolingual AP"]) for row in rows] == [
        run["measures"]["monolingual AP"] for run in document["runs"]
    ]
    with (output / "summary.csv").open(encoding="utf-8") as file:
        summary = list(csv.DictReader(file))
    assert [row["seeds"] for row in summary] == ["2", "2"]
    assert float(summary[0]["multilingual rank_distance"]) == pytest.approx(
        np.mean([float(row["multilingual rank_distance"]) for row in rows[:2]])
    )
    drawn = (output / "tradeoff.svg").read_text(encoding="utf-8")
    labels = re.findall(r">([^<>]+)</text>", drawn)
    assert "alpha (above its points)" in labels
    assert labels.count("0") >= 4 and labels.count("1") >= 4  # noqa: PT018  (each panel names both points)
    assert (output / "tradeoff.png").read_bytes().startswith(b"\x89PNG")

    before = finished_at(output)
    assert len(before) == 4
    grown = read_grid(grid_file(folder, also=[{"strategy": "contrastive"}], seeds=[1]))
    assert len(sweep(grown, output).document["runs"]) == 3
    after = finished_at(output)
    assert {name: after[name] for name in before} == before
    assert len(after) == 5


def test_a_run_that_fails_is_named_after_the_others_are_done(folder: Path) -> None:
    german = parallel(20, ("de", "sw"))
    save(folder / "german.parquet", german)
    grid = read_grid(
        grid_file(
            folder, base={**BASE, "data": ["german.parquet"]}, grid={"strategy": ["X-X", "lareqa:En-En"]}, seeds=[1]
        )
    )
    with pytest.raises(
        InputError, match=r"1 of 2 runs failed; strategy-lareqa-En-En_seed-1-\w+: .*no row of the data is"
    ):
        sweep(grid, folder / "failing")
    assert len(finished_at(folder / "failing")) == 1


def test_a_sweep_may_be_measured_on_a_suite(folder: Path) -> None:
    grid = read_grid(
        grid_file(folder, held_out=[], suite="xlir-mini", languages=["de", "en"], grid={"alpha": [0.5]}, seeds=[1],
                  precision_at=2)
    )  # fmt: skip
    swept = sweep(grid, folder / "suite")
    assert swept.document["measured_on"] == "xlir-mini"
    assert set(swept.document["runs"][0]["measures"]) == {
        "monolingual AP", "monolingual P@2", "cross-lingual AP", "cross-lingual P@2", "multilingual AP",
        "multilingual P@2", "multilingual rank_distance",
    }  # fmt: skip


def test_held_out_pairs_of_a_suite_measure_no_sweep(folder: Path) -> None:
    save(folder / "suite.parquet", parallel(4, dataset="xquad"))
    with pytest.raises(InputError, match="evaluation suite xquad"):
        sweep(read_grid(grid_file(folder, held_out=["suite.parquet"])), folder / "refused")
    assert not (folder / "refused").exists()


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=6))
@settings(max_examples=40)
def test_intervals_over_seeds_are_students(values: list[float]) -> None:
    runs = [{"varied": {"alpha": 0.5}, "label": "x", "seed": at, "measures": {"AP": v}} for at, v in enumerate(values)]
    figure = summarise(runs, ["AP"])[0]["measures"]["AP"]
    assert figure["mean"] == pytest.approx(np.mean(values))
    if np.std(values) > 1e-9:
        low, high = ttest_1samp(values, 0.0).confidence_interval(0.95)
        assert (figure["low"], figure["high"]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_one_seed_has_no_interval_and_is_drawn_all_the_same(tmp_path: Path) -> None:
    names = ["monolingual AP", "monolingual P@1", "cross-lingual AP", "multilingual rank_distance"]
    runs = [
        {
            "varied": {"alpha": alpha},
            "label": f"alpha {alpha}",
            "seed": 1,
            "measures": dict.fromkeys(names, 0.5 + alpha / 4),
        }
        for alpha in (0.0, 1.0)
    ]
    summary = summarise(runs, names)
    assert summary[0]["measures"]["monolingual AP"] == {"mean": 0.5, "low": None, "high": None}
    svg = draw(summary, "P@1", tmp_path / "figure").read_text(encoding="utf-8")
    assert "rank distance" in svg
    # Each of four panels names the point; an axis may have a tick of the same name.
    assert len(re.findall(r'font-size="10px"[^>]*>1</text>', svg)) == 4
