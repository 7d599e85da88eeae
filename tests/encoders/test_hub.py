"""`xlir-bench run ORG/NAME`: the installed command and a hub on loopback, with nothing replaced between them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import hub_server
import pytest
from commands import one_line, xlir_bench
from hub_server import Refusal
from kinds_of_models import save_bert, save_dense

NAME = "tiny/encoder"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> dict[str, bytes]:
    """The files of a tiny encoder, and what else repositories hold."""
    root = tmp_path_factory.mktemp("checkpoint")
    (root / "bert").mkdir()
    folder = save_dense(root / "encoder", save_bert(root / "bert"))
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    others = (
        "pytorch_model.bin",
        "model.pt",
        "code.py",
        "onnx/model.onnx",
        "openvino/openvino_model.bin",
        "tf_model.h5",
    )
    return {**files, **dict.fromkeys(others, b"not to be fetched"), "original/params.json": b"{}"}


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> Path:
    """Three documents and two queries in BEIR's layout."""
    folder = tmp_path_factory.mktemp("suite") / "small"
    (folder / "qrels").mkdir(parents=True)
    texts = {"a": "w1 w2 w3", "b": "w4 w5", "c": "w6 w7 w8"}
    rows = [{"_id": name, "title": "", "text": text} for name, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    queries = [{"_id": "q1", "text": "w1 w2"}, {"_id": "q2", "text": "w7"}]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\tc\t1\n")
    return folder


@pytest.fixture
def hub():
    with hub_server.running() as server:
        yield server


@pytest.fixture
def run(suite, tmp_path):
    """Run the command with what one machine has; the finished process."""

    def run(hub, *arguments, **environment):
        options = ("--suite", suite, "--languages", "en", "--device", "cpu", "--no-registry", "--json")
        env = {**hub.environment(tmp_path), **environment}
        return xlir_bench("run", *arguments, *options, "--output", tmp_path / "results", env=env)

    return run


def measured(finished):
    """The model of the result, and its scores."""
    assert finished.returncode == 0, finished.stderr[-2000:]
    result = json.loads(finished.stdout)
    return result["model"], result["scores"]


def test_what_was_fetched_is_enough_without_the_hub(hub, run, checkpoint, tmp_path):
    commit = hub.push(NAME, checkpoint)
    hub.refusals = [Refusal("/api/models/", 503, times=1)]  # a busy hub is asked again
    hub.break_after = [2000]  # and what breaks off is fetched from there on
    fetched, scores = measured(run(hub, NAME))
    assert fetched["revision"] == commit
    wanted = {name for name in checkpoint if name.endswith((".json", ".safetensors"))} - {"original/params.json"}
    assert set(hub.files()) == wanted - {"model.safetensors"}  # which the storage has
    assert [path for method, path in hub.asked if method == "GET" and path.startswith("/storage/")]
    local = tmp_path / "folder"
    for name in wanted:
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(checkpoint[name])
    assert measured(run(hub, local))[0]["fingerprint"] == fetched["fingerprint"]
    shutil.rmtree(tmp_path / "results")
    before = len(hub.asked)
    again, same = measured(run(hub, NAME, "--offline", "--no-cache"))
    assert (again["fingerprint"], again["revision"], same) == (fetched["fingerprint"], commit, scores)
    assert len(hub.asked) == before


def test_a_new_commit_is_another_encoder_and_an_old_one_can_be_named(hub, run, checkpoint):
    first = hub.push(NAME, checkpoint)
    hub.push(NAME, checkpoint, "v1.0", first)
    old, _ = measured(run(hub, NAME))
    weights = bytearray(checkpoint["model.safetensors"])
    weights[-2] ^= 0x40
    second = hub.push(NAME, {**checkpoint, "model.safetensors": bytes(weights)})
    new, _ = measured(run(hub, NAME))
    assert (old["revision"], new["revision"]) == (first, second)
    assert old["fingerprint"] != new["fingerprint"]
    assert old["name"] != new["name"]
    before = len(hub.asked)
    pinned, _ = measured(run(hub, f"{NAME}@{first}"))
    assert (pinned["fingerprint"], pinned["name"], pinned["revision"]) == (old["fingerprint"], old["name"], first)
    assert len(hub.asked) == before  # a commit that is here cannot have changed
    tagged = run(hub, f"{NAME}@v1.0")
    assert measured(tagged)[0]["fingerprint"] == old["fingerprint"]
    hub.refusals = [Refusal("/api/", 500)]
    stale = run(hub, NAME)
    assert measured(stale)[0]["revision"] == second
    assert f"the hub did not say which commit of {NAME} is the newest (it answered 500): {second}" in stale.stderr


def test_the_real_weights_are_those_of_the_folder(hub, run, minilm):
    hub.push("sentence-transformers/all-MiniLM-L6-v2", minilm)
    fetched, scores = measured(run(hub, "sentence-transformers/all-MiniLM-L6-v2"))
    local, same = measured(run(hub, minilm))
    assert fetched["fingerprint"] == local["fingerprint"]
    assert scores == same


REFUSALS = {
    "gated": (
        [Refusal("/resolve/", 403, {"X-Error-Code": "GatedRepo"})],
        "is closed to you: ask for access on its page",
    ),
    "gated, not logged in": ([Refusal("/resolve/", 401, {"X-Error-Code": "GatedRepo"})], "log in with `hf auth login`"),
    "forbidden": ([Refusal("/api/", 403)], r"the hub refuses tiny/encoder \(403\): its terms or your token"),
    "token": (
        [Refusal("/api/", 401, {"X-Error-Message": "Invalid credentials in Authorization header"})],
        r"the hub does not accept your token \(401\), asked for tiny/encoder",
    ),
    "busy": ([Refusal("/api/", 429)], r"no more requests for now \(429\), asked for tiny/encoder: try again later"),
    "failing": ([Refusal("/api/", 502)], r"the hub fails at tiny/encoder \(502\): try again later"),
    "a file is not there": (
        [Refusal("/resolve/", 404, {"X-Error-Code": "EntryNotFound"})],
        r"lists a file of tiny/encoder that it does not have \(404\)",
    ),
    "storage lacks it": ([Refusal("/storage/", 404)], r"lists a file of tiny/encoder that it does not have \(404\)"),
    "storage refuses": ([Refusal("/storage/", 403)], r"the hub refuses tiny/encoder \(403\)"),
    "no hub at all": ([Refusal("/api/", 200)], r"tiny/encoder is not on this machine and the hub cannot be reached"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_the_hub_refuses_is_one_line_that_says_what_to_do(hub, run, checkpoint, kind):
    hub.push(NAME, checkpoint)
    hub.refusals, expected = [Refusal(**vars(refusal)) for refusal in REFUSALS[kind][0]], REFUSALS[kind][1]
    line = one_line(run(hub, NAME), 3)
    assert re.search(expected, line), line


@pytest.mark.parametrize(
    ("asked", "code", "expected"),
    [
        ("tiny/none", 3, "the hub has no model tiny/none, or it is private: check the name; if it is yours, log in"),
        (f"{NAME}@v9", 3, f"the hub has no model {NAME} at v9: give a commit, tag or branch that {NAME} has"),
        (f"{NAME}@{'0' * 40}", 3, f"the hub has no model {NAME} at {'0' * 40}: give a commit"),
        ("tiny/..encoder", 2, "'tiny/..encoder' is no id of a hub model"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(hub, run, checkpoint, asked, code, expected):
    hub.push(NAME, checkpoint)
    assert expected in one_line(run(hub, asked), code)


def test_a_private_model_needs_the_token(hub, run, checkpoint):
    hub.push(NAME, checkpoint)
    hub.token = "hf_secret"
    line = one_line(run(hub, NAME), 3)
    assert "log in with `hf auth login` or set HF_TOKEN" in line
    line = one_line(run(hub, NAME, HF_TOKEN="hf_wrong"), 3)
    assert "hf_wrong" not in line
    hub.refusals = [Refusal("/storage/", 404)]
    assert "private" not in one_line(run(hub, NAME, HF_TOKEN="hf_secret"), 3)  # the repository was found


def test_nobody_listens_and_nothing_is_here(hub, run):
    line = one_line(run(hub, NAME, HF_ENDPOINT="http://127.0.0.1:9"), 3)
    assert f"the model {NAME} is not on this machine and the hub cannot be reached" in line
    line = one_line(run(hub, NAME, "--offline"), 3)
    assert f"the model {NAME} is not on this machine" in line


def test_what_broke_off_is_not_used_and_the_next_run_goes_on(hub, run, checkpoint):
    hub.push(NAME, checkpoint)
    hub.refusals = [Refusal("/storage/", 503)]
    assert "the hub fails" in one_line(run(hub, NAME), 3)
    half = one_line(run(hub, NAME, "--offline"), 3)
    assert f"only a part of the model {NAME} is on this machine" in half
    hub.refusals = []
    measured(run(hub, NAME))


def test_large_files_that_are_not_the_hubs_are_refused_and_fetched_anew(hub, run, checkpoint):
    hub.push(NAME, checkpoint)
    hub.damaged = True
    line = one_line(run(hub, NAME), 3)
    assert f"model.safetensors of the model {NAME} is damaged: its SHA-256 is not the hub's; it was removed" in line
    hub.damaged = False
    measured(run(hub, NAME))
