"""`xlir-bench gate` as a job meets it: files, streams, exit codes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from commands import xlir_bench

from xlir_bench.results import load_result, save


@pytest.fixture(scope="module")
def stored(make_run, tmp_path_factory) -> dict[str, Path]:
    """Result files of a baseline, of an encoder that is as good, of a worse one, and of one on another version."""
    output = tmp_path_factory.mktemp("results")
    runs = {"good": make_run("good", seed=1, shift=0.1), "bad": make_run("bad", shift=-2.0), "base": make_run("base")}
    suite = runs["base"].result.suite.model_copy(update={"version": 7})
    elder = runs["base"].result.model_copy(update={"suite": suite})
    runs["elder"] = replace(runs["base"], result=elder.model_copy(update={"model": runs["base"].result.model}))
    return {name: save(run.result, run.ranks, output / name) for name, run in runs.items()}


def test_an_encoder_that_is_as_good_passes_with_0(stored):
    finished = xlir_bench("gate", stored["good"], "--baseline", stored["base"])
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1].startswith("passed: 10 checks")
    assert finished.stderr == ""


def test_a_worse_one_is_stopped_with_1_and_the_reasons(stored):
    finished = xlir_bench("gate", stored["bad"].parent, "--baseline", stored["base"].parent)
    assert finished.returncode == 1, finished.stderr
    assert "loss: small monolingual AP: lost" in finished.stdout
    assert "bad against base" in finished.stdout.splitlines()[-1]


def test_json_on_stdout_is_the_whole_report(stored, tmp_path):
    finished = xlir_bench("gate", stored["bad"], "--baseline", stored["base"], "--json", "--junit", tmp_path / "g.xml")
    report = json.loads(finished.stdout)
    assert finished.returncode == 1
    assert report["passed"] is False
    assert report["candidate"]["name"] == "bad"
    assert {"suite", "setting", "measure", "query_language", "verdict", "loss", "interval", "adjusted_p"} <= set(
        report["checks"][0]
    )
    root = ElementTree.parse(tmp_path / "g.xml").getroot()
    assert int(root.get("tests")) == len(report["checks"])
    assert int(root.get("failures")) == sum(c["verdict"] in {"loss", "floor", "missing"} for c in report["checks"])


@pytest.mark.parametrize(
    ("baseline", "exit_code", "message"),
    [("elder", 2, "the baseline was measured on version 7 of the suite"), ("nowhere", 3, "no such file or folder")],
)
def test_a_baseline_that_cannot_be_compared_with_gets_one_line(stored, baseline, exit_code, message):
    finished = xlir_bench("gate", stored["good"], "--baseline", stored.get(baseline, baseline))
    assert finished.returncode == exit_code
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    assert message in line


def test_what_a_result_is_called_cannot_steer_the_terminal(make_run, tmp_path):
    places = [save(run.result, run.ranks, tmp_path / run.name) for run in (make_run("a"), make_run("b", shift=-2.0))]
    for place in places:
        content = json.loads(place.read_text())
        content["suite"]["name"] = "small\x1b[2J\u202e[bold]"
        place.write_text(json.dumps(content))
    finished = xlir_bench("gate", places[1], "--baseline", places[0])
    assert finished.returncode == 1, finished.stderr
    assert not set(finished.stdout) & {"\x1b", "\u202e"}
    assert "[bold]" in finished.stdout


def test_a_policy_of_ones_own_is_taken(stored, tmp_path):
    (tmp_path / "gate.yaml").write_text("rules: [{suite: small, setting: monolingual, floor: 0.9999}]")
    finished = xlir_bench("gate", stored["good"], "--baseline", stored["base"], "--policy", tmp_path / "gate.yaml")
    assert finished.returncode == 1
    assert "floor: small monolingual AP" in finished.stdout


def test_the_shipped_policy_is_printed_to_begin_with(tmp_path):
    printed = xlir_bench("gate", "--print-policy")
    assert printed.returncode == 0
    assert set(yaml.safe_load(printed.stdout)) == {"alpha", "rules"}


def test_on_github_failures_are_annotated_and_summed_up(stored, tmp_path):
    (tmp_path / "summary.md").write_text("what an earlier command wrote\n")
    finished = xlir_bench(
        "gate",
        stored["bad"],
        "--baseline",
        stored["base"],
        "--json",
        env={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")},
    )
    assert json.loads(finished.stdout)["passed"] is False  # annotations leave stdout alone
    assert all(line.startswith("::error title=gate") for line in finished.stderr.splitlines())
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("what an earlier command wrote\n### xlir-bench gate: failed")


def test_away_from_github_nothing_is_annotated(stored):
    finished = xlir_bench("gate", stored["bad"], "--baseline", stored["base"])
    assert finished.returncode == 1
    assert "::error" not in finished.stdout + finished.stderr


def test_the_committed_baseline_is_of_the_bundled_encoder_and_suite():
    """A new release of either needs a new baseline; docs/gate.md says how to write it."""
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import reference
    from xlir_bench.resources import folder
    from xlir_bench.suites import find, load

    results = folder("submissions") / "xlir-hybrid-static" / "results"
    committed = load_result(results / "xlir-mini.json")
    assert committed.model.fingerprint == resolve("xlir-hybrid-static").info.fingerprint
    suite = find("xlir-mini")
    assert committed.suite == reference(suite, load(suite, None, None))


def test_the_change_of_the_page_is_code_that_runs(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "gate.md").read_text()
    (tmp_path / "smaller.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])
    measured = xlir_bench("run", "smaller.py:build", "--languages", "de", "--output", "new", cwd=tmp_path)
    assert measured.returncode == 0, measured.stderr
    (result,) = (tmp_path / "new").glob("smaller-*/xlir-mini.json")
    assert load_result(result).model.details["truncate_dim"] == 384
