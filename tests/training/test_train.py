"""`xlir-bench train`: a run is finished, gone on with, or refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml
from click.testing import CliRunner
from pair_stores import parallel, save
from small_models import save_m2m100, save_tokenizer, save_xlm

from xlir_bench.cli.main import cli
from xlir_bench.encoders import encode_texts, resolve
from xlir_bench.errors import InputError, MissingResourceError, XlirError
from xlir_bench.training import runner
from xlir_bench.training.development import collection_of, score
from xlir_bench.training.recipe import read_recipe
from xlir_bench.training.runner import RECORD, WORKSPACE, train
from xlir_bench.training.store import Pair, read_pairs
from xlir_bench.training.strategies import RowBatches, Rows

COMMAND = [sys.executable, "-c", "from xlir_bench.cli.main import main; main()", "train"]
STATIC = {"dimensions": 32, "latent": 16, "pieces": 2300, "sample": 100_000}
PATIENCE_S = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "pairs.parquet", parallel(60))
    save(tmp_path / "dev.parquet", parallel(12, dataset="dev", first=1000))
    return tmp_path


def recipe(folder: Path, **fields: object) -> Path:
    """A small static recipe, with other fields in place of its own."""
    content: dict[str, Any] = {"start": "static", "data": ["pairs.parquet"], "steps": 30, "batch": 16, "static": STATIC}
    if fields.get("start", "static") != "static":
        del content["static"]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**content, **fields}), encoding="utf-8")
    return path


def bert(folder: Path) -> Path:
    """A random BERT with dropout, so that a step depends on the state of chance."""
    words = {word for pair in parallel(60) for word in pair.document.split()}
    size = save_tokenizer(folder / "bert", ["[CLS]", "[PAD]", "[SEP]", "[UNK]"], 16)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "bert")
    size += tokenizer.add_tokens(sorted(words))
    tokenizer.save_pretrained(folder / "bert")
    config = transformers.BertConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, pad_token_id=1,
    )  # fmt: skip
    transformers.set_seed(0)
    transformers.BertModel(config).save_pretrained(folder / "bert")
    return folder / "bert"


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_recipe_becomes_a_model_that_can_be_measured(folder: Path) -> None:
    path, output = recipe(folder), folder / "model"
    result = CliRunner().invoke(cli, ["train", str(path), "--output", str(output), "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record == json.loads((output / RECORD).read_text(encoding="utf-8"))
    assert record["steps"] == 30
    assert record["recipe"]["strategy"] == "hybrid"
    assert record["data"]["rows"] == 540
    assert record["data"]["languages"] == ["de", "en", "sw"]
    assert {"torch", "sentence-transformers", "xlir-bench"} <= set(record["versions"])
    assert [entry["step"] for entry in record["losses"]] == list(range(1, 31))
    assert not (output / WORKSPACE).exists()
    vectors = resolve(str(output)).retriever.encode(["a b"], role="query", languages=["en"])  # type: ignore[union-attr]
    assert vectors.shape == (1, 32)


def test_a_finished_run_is_not_done_twice(folder: Path) -> None:
    path, output = recipe(folder), folder / "model"
    assert train(read_recipe(path), output).trained_now
    before = {file: file.stat().st_mtime_ns for file in output.iterdir()}
    again = train(read_recipe(path), output)
    assert not again.trained_now
    assert {file: file.stat().st_mtime_ns for file in output.iterdir()} == before


def test_publishing_a_model_changes_no_file_of_others_and_follows_no_link(tmp_path: Path) -> None:
    model, output, elsewhere = (tmp_path / name for name in ("model", "out", "elsewhere"))
    for folder in (model / "1_Pooling", output / "1_Pooling", output / WORKSPACE / "mine", elsewhere):
        folder.mkdir(parents=True)
    (model / "config.json").write_text("new")
    (model / "1_Pooling" / "config.json").write_text("new")
    mine = [output / "1_Pooling" / "notes.txt", output / WORKSPACE / "mine" / "x", elsewhere / "config.json"]
    for path in mine:
        path.write_text("mine")
    (output / "1_Pooling").rename(tmp_path / "aside")
    (output / "1_Pooling").symlink_to(elsewhere)
    with pytest.raises(InputError, match=r"1_Pooling.*move it away"):
        runner._publish(model, output, {})
    assert (model / "config.json").exists()
    (output / "1_Pooling").unlink()
    (tmp_path / "aside").rename(output / "1_Pooling")
    runner._publish(model, output, {"fingerprint": "f"})
    assert (output / "config.json").read_text() == (output / "1_Pooling" / "config.json").read_text() == "new"
    (output / WORKSPACE / "checkpoint-3").mkdir()
    (output / WORKSPACE / "checkpoint-4").symlink_to(elsewhere)
    runner._remove_workspace(output / WORKSPACE)
    assert not (output / WORKSPACE / "checkpoint-3").exists()
    assert [path.read_text() for path in mine] == ["mine"] * 3


def test_the_model_of_another_recipe_is_left_alone(folder: Path) -> None:
    output = folder / "model"
    train(read_recipe(recipe(folder)), output)
    before = weights(output)
    with pytest.raises(InputError, match="holds the model of another run"):
        train(read_recipe(recipe(folder, seed=2)), output)
    save(folder / "pairs.parquet", parallel(61))
    with pytest.raises(InputError, match="holds the model of another run"):
        train(read_recipe(recipe(folder)), output)
    (output / RECORD).unlink()
    with pytest.raises(InputError, match="holds a model that was not trained here"):
        train(read_recipe(recipe(folder)), output)
    assert weights(output) == before


def killed_once(path: Path, output: Path) -> None:
    """Run the command in a process of its own, and kill it with SIGKILL at its first checkpoint."""
    process = subprocess.Popen(
        [*COMMAND, str(path), "--output", str(output)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    until = time.monotonic() + PATIENCE_S
    while not list((output / WORKSPACE).glob("checkpoint-*/diary.json")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (output / RECORD).exists()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Equal bytes are promised for one number of threads, and other tests of this process may have set theirs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("start", ["static", "bert"])
def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(folder: Path, start: str) -> None:
    if start == "bert":
        pytest.importorskip("accelerate")
        fields: dict[str, object] = {"start": {"folder": str(bert(folder))}, "steps": 60, "checkpoints": {"every": 5}}
    else:
        fields = {"steps": 1500, "checkpoints": {"every": 50}}
    fields["early_stopping"] = {"pairs": ["dev.parquet"], "every": 25, "patience": 50}
    path = recipe(folder, **fields)
    killed_once(path, folder / "killed")
    # As if it had been killed while it wrote a checkpoint: what is half written is not gone on from.
    half = folder / "killed" / WORKSPACE / "checkpoint-999999"
    half.mkdir()
    (half / "diary.json").write_text('{"losses": [')
    with pytest.raises(InputError, match="unfinished run of another recipe"):
        train(read_recipe(recipe(folder, **fields, seed=9)), folder / "killed")
    path = recipe(folder, **fields)
    resumed = train(read_recipe(path), folder / "killed")
    whole = train(read_recipe(path), folder / "whole")
    assert weights(folder / "killed") == weights(folder / "whole")
    assert resumed.record["losses"] == whole.record["losses"]
    assert resumed.record["held_out"]["looks"] == whole.record["held_out"]["looks"]


def test_two_processes_do_not_train_in_one_place(folder: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    (folder / "model" / WORKSPACE).mkdir(parents=True)
    with (folder / "model" / WORKSPACE / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is training there"):
            train(read_recipe(recipe(folder)), folder / "model")


def test_training_stops_when_the_held_out_set_no_longer_gains_and_keeps_the_best(folder: Path) -> None:
    # With a rate of almost 0 no look differs from the first, which then stays the best.
    fields = {"early_stopping": {"pairs": ["dev.parquet"], "every": 5, "patience": 2}, "lr": 1e-12}
    record = train(read_recipe(recipe(folder, **fields)), folder / "model").record
    assert [look["step"] for look in record["held_out"]["looks"]] == [5, 10, 15]
    assert record["held_out"]["best_step"] == 5
    assert record["steps"] == 15


def test_an_evaluation_suite_decides_nothing(folder: Path) -> None:
    rule = {"every": 5, "patience": 2}

    def refused(match: str) -> None:
        with pytest.raises(InputError, match=match):
            train(read_recipe(recipe(folder, early_stopping={"pairs": ["held.parquet"], **rule})), folder / "model")

    save(folder / "held.parquet", parallel(5, dataset="XQuAD_R", first=1000))
    refused("held-out pairs of the evaluation suite xquad-r")
    questions = questions_of_mini()
    pairs = parallel(5, dataset="dev", first=1000)
    save(folder / "held.parquet", [*pairs, *(pair_of(question) for question in questions)])
    refused("3 of 18 queries are queries of the evaluation suite xlir-mini")
    save(folder / "held.parquet", parallel(5, first=59))
    refused(r"1 groups are trained on too \('59' of data set 'toy'\)")
    save(folder / "held.parquet", [])
    refused("the held-out pair set is empty")


def questions_of_mini() -> list[str]:
    from xlir_bench.suites import find, load

    return list(load(find("xlir-mini")).queries.texts[:3])


def pair_of(question: str) -> Pair:
    return Pair(question, "an answer of our own", "en", "en", question, "dev")


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"data": ["nowhere.parquet"]}, MissingResourceError, "no such pair store"),
        ({"strategy": "lareqa:En-En", "data": ["german.parquet"]}, InputError, "no row of the data is En-En"),
        ({"start": {"folder": "nowhere"}}, InputError, "there is no folder"),
        ({"start": {"folder": "."}}, InputError, "is no model"),
        ({"start": {"folder": "bert"}, "negatives": 1}, InputError, "540 of 540 rows have fewer"),
        ({"start": {"folder": "bert"}, "precision": "fp16"}, InputError, "fp16 needs an accelerator"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(
    folder: Path, fields: dict[str, object], error: type[XlirError], said: str
) -> None:
    pytest.importorskip("accelerate")
    save(folder / "german.parquet", parallel(5, ("de", "sw")))
    bert(folder)
    with pytest.raises(error) as caught:
        train(read_recipe(recipe(folder, **fields)), folder / "model")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def started(folder: Path, kind: str) -> tuple[Path, tuple[str, ...]]:
    """Random weights of a kind, and languages that it knows."""
    if kind == "bert":
        return bert(folder), ("de", "en", "sw")
    (folder / kind).mkdir()
    if kind == "m2m100":
        pytest.importorskip("sentencepiece")
        return save_m2m100(folder / kind, [pair.document for pair in parallel(60)]), ("de", "en", "sw")
    return save_xlm(folder / kind), ("de", "en", "tr")


@pytest.mark.parametrize("kind", ["static", "bert", "m2m100", "xlm"])
def test_what_is_measured_afterwards_is_what_was_looked_at_in_training(folder: Path, kind: str) -> None:
    pytest.importorskip("accelerate")
    fields: dict[str, Any] = {"prefixes": {"query": "a ", "document": "b "}, "lr": 1e-3}
    codes: tuple[str, ...] = ("de", "en", "sw")
    if kind != "static":
        start, codes = started(folder, kind)
        fields["start"] = {"folder": str(start), "max_length": 16}
    else:
        fields = {}
    save(folder / "pairs.parquet", parallel(40, codes))
    save(folder / "dev.parquet", parallel(20, codes, dataset="dev", first=1000))
    fields["early_stopping"] = {"pairs": ["dev.parquet"], "every": 2, "patience": 9}
    record = train(read_recipe(recipe(folder, **fields, steps=6)), folder / "model").record
    best = next(look for look in record["held_out"]["looks"] if look["step"] == record["held_out"]["best_step"])

    model = resolve(str(folder / "model"))
    collection = collection_of(read_pairs([folder / "dev.parquet"]))

    def encode(texts: Any, languages: Any, *, query: bool) -> Any:
        side = collection.queries if query else collection.documents
        return encode_texts(model.retriever, model.info, side, "query" if query else "document").vectors

    # The static encoder is stored in 8 bits, which may turn a close pair round.
    near = 0.02 if kind == "static" else 1e-3
    for setting, measures in score(encode, collection).items():
        for name in ("AP", "P@1"):
            assert measures[name] == pytest.approx(best["scores"][setting][name], abs=near), (setting, name)
    if kind != "static":
        assert model.info.prompts == {"query": "a ", "document": "b "}


@pytest.mark.slow
def test_two_processes_are_dealt_the_batches_of_one(folder: Path) -> None:
    pytest.importorskip("accelerate")
    path = recipe(folder, start={"folder": str(bert(folder))}, steps=6, checkpoints={"every": 2})
    program = folder / "program.py"
    program.write_text("from xlir_bench.cli.main import main\nmain()\n")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(program)]
    done = subprocess.run(
        [*launch, "train", str(path), "--output", str(folder / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "two" / RECORD).read_text(encoding="utf-8"))
    declared = read_recipe(path)
    batches = RowBatches(Rows.of_table(read_pairs(declared.data_paths)), declared.row_plan(), declared.seed)
    assert [set(entry) - {"step"} for entry in record["losses"]] == [{batches.kind(2 * step)} for step in range(6)]
    train(declared, folder / "one")
    assert weights(folder / "one") != weights(folder / "two"), "the second process changed nothing"
    assert not (folder / "two" / WORKSPACE).exists()
