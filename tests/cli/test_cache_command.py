"""`xlir-bench cache` and the options of `run` that concern the encoder."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from xlir_bench.cli.main import cli
from xlir_bench.collection import Texts
from xlir_bench.encoders import VectorCache, encode_texts, resolve
from xlir_bench.encoders.vector_files import FilePair
from xlir_bench.errors import InputError
from xlir_bench.suites import find, load

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
    assert "1 model, " in invoke("cache", "info")
    assert "removed 1 model, " in invoke("cache", "prune", "--all")


def test_prune_without_a_choice_removes_nothing(stored):
    with pytest.raises(Exception, match="say what to remove"):
        invoke("cache", "prune")
    assert "2 models" in invoke("cache", "info")
    with pytest.raises(InputError, match="no model 'nothing'"):
        invoke("cache", "prune", "--model", "nothing")


def test_prune_all_follows_no_link_and_says_what_it_left(stored, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("thesis")
    root = VectorCache().folder / "vectors"
    (root / "m").symlink_to(precious)
    (root / "notes").mkdir()
    (root / "notes" / "model.json").write_text("{}")
    shown = invoke("cache", "prune", "--all")
    assert (precious / "thesis.tex").read_text() == "thesis"
    assert f"left: {root / 'm'} (a link, which is not followed)" in shown
    assert f"left: {root / 'notes'} (not named by a fingerprint)" in shown
    assert sorted(path.name for path in root.iterdir()) == ["m", "notes"]
    told = json.loads(invoke("cache", "info", "--json"))
    assert told["models"] == []
    assert [item["path"] for item in told["unrecognised"]] == [str(root / "m"), str(root / "notes")]
    assert [item["path"] for item in json.loads(invoke("cache", "prune", "--all", "--json"))["unrecognised"]] == [
        str(root / "m"),
        str(root / "notes"),
    ]


def test_files_of_an_earlier_version_are_pointed_out_and_pruned_alone(stored):
    folder = VectorCache().folder / "vectors" / resolve("random").info.vector_key / "query"
    (folder / f"{'0a' * 16}.vectors").write_bytes(bytes(1500))
    assert "1.5 kB of it were written by an earlier version and are no longer read" in invoke("cache", "info")
    assert "removed files of an earlier version of 1 model, 1.5 kB" in invoke("cache", "prune", "--outdated")
    assert "earlier version" not in invoke("cache", "info")
    assert "2 models" in invoke("cache", "info")


def test_a_dry_run_counts_times_and_writes_nothing(minilm, tmp_path):
    collection = load(find("xlir-mini"), None)
    arguments = ["run", str(minilm), "--suite", "xlir-mini", "--output", str(tmp_path / "results"), "--dry-run"]
    [line] = invoke(*arguments, "--json").splitlines()
    plan = json.loads(line)
    assert plan["texts"] == len(collection.queries) + len(collection.documents)
    assert plan["stored"] == 0
    assert plan["tokens"] > 5 * plan["distinct"]
    assert plan["seconds"] == pytest.approx(plan["distinct"] / plan["texts_per_s"])
    assert plan["disk_bytes"] == plan["distinct"] * (384 * 4 + 20)
    assert not (tmp_path / "results").exists()
    assert not (VectorCache().folder / "vectors").exists()


def test_a_dry_run_after_a_run_has_nothing_to_encode_and_reads_no_vector(monkeypatch):
    arguments = ["run", "random", "--suite", "xlir-mini", "--json", "--dry-run"]
    before = json.loads(invoke(*arguments))
    model = resolve("random")
    collection = load(find("xlir-mini"), None)
    for role, side in (("query", collection.queries), ("document", collection.documents)):
        encode_texts(model.retriever, model.info, side, role, cache=VectorCache())
    grown = sum(path.stat().st_size for path in VectorCache().folder.rglob("*-64.*"))
    monkeypatch.setattr(FilePair, "read", None)
    after = json.loads(invoke(*arguments))
    assert (before["stored"], after["stored"]) == (0, before["distinct"])
    assert (after["seconds"], after["disk_bytes"]) == (0.0, 0)
    assert before["disk_bytes"] == grown
