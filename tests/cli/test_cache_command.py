"""`xlir-bench cache` and the options of `run` that concern the encoder."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from made_data import QUESTIONS, SENTENCES

from xlir_bench.cli.main import cli
from xlir_bench.collection import Texts
from xlir_bench.encoders import VectorCache, encode_texts, resolve
from xlir_bench.errors import InputError

TEXTS = Texts(["0", "1"], ["a", "b"], ["en", "en"])


def invoke(*arguments):
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def stored():
    for model_id in ("random", "random:7"):
        model = resolve(model_id)
        encode_texts(model.retriever, model.info, TEXTS, "query", cache=VectorCache())


def test_info_lists_models_with_their_sizes(stored):
    told = json.loads(invoke("cache", "info", "--json"))
    assert sorted((model["id"], model["vectors"]) for model in told["models"]) == [("random", 2), ("random:7", 2)]
    shown = invoke("cache", "info")
    assert "random:7" in shown
    assert "2 models" in shown


def test_prune_removes_what_is_named_and_nothing_else(stored):
    told = json.loads(invoke("cache", "prune", "--model", "random:7", "--json"))
    assert [model["id"] for model in told["removed"]] == ["random:7"]
    assert "1 models" in invoke("cache", "info")
    assert "removed 1 models" in invoke("cache", "prune", "--all")


def test_prune_without_a_choice_removes_nothing(stored):
    with pytest.raises(Exception, match="say what to remove"):
        invoke("cache", "prune")
    assert "2 models" in invoke("cache", "info")
    with pytest.raises(InputError, match="no model 'nothing'"):
        invoke("cache", "prune", "--model", "nothing")


def test_a_dry_run_counts_times_and_writes_nothing(parallel_folder, minilm, tmp_path):
    arguments = ["run", str(minilm), "--suite", str(parallel_folder), "--languages", "en"]
    output = tmp_path / "results"
    [line] = invoke(*arguments, "--output", str(output), "--dry-run", "--json").splitlines()
    plan = json.loads(line)
    assert plan["texts"] == QUESTIONS + SENTENCES
    assert plan["stored"] == 0
    assert plan["tokens"] > 5 * plan["distinct"]
    assert plan["seconds"] == pytest.approx(plan["distinct"] / plan["texts_per_s"])
    assert plan["disk_bytes"] == plan["distinct"] * (384 * 4 + 20)
    assert not output.exists()


def test_a_dry_run_after_a_run_has_nothing_to_encode(parallel_folder, parallel_suite, tmp_path):
    arguments = ["run", "random", "--suite", str(parallel_folder), "--languages", "en", "--json"]
    before = json.loads(invoke(*arguments, "--dry-run"))
    model = resolve("random")
    from xlir_bench.suites import load

    collection = load(parallel_suite, languages=["en"])
    for role, side in (("query", collection.queries), ("document", collection.documents)):
        encode_texts(model.retriever, model.info, side, role, cache=VectorCache())
    after = json.loads(invoke(*arguments, "--dry-run"))
    assert (before["stored"], after["stored"]) == (0, before["distinct"])
    assert (after["seconds"], after["disk_bytes"]) == (0.0, 0)
