"""From a model's id to the model: which kind of id wins, what a model is called, what is said when there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xlir_bench
from xlir_bench.encoders import Options, bundled, resolve
from xlir_bench.encoders import resolve as resolve_function
from xlir_bench.errors import InputError, MissingResourceError

resolve_module = sys.modules[resolve_function.__module__]


@pytest.fixture
def submissions(tmp_path, monkeypatch):
    """A folder that takes the place of the submissions that come with the package."""
    folder = tmp_path / "submissions"
    folder.mkdir()
    monkeypatch.setattr(resolve_module, "package_folder", lambda name: folder)
    return folder


def declare(folder, weights, **fields):
    folder.mkdir(exist_ok=True)
    lines = {"name": folder.name, "adapter": "sentence-transformers", "licence": "MIT", **fields}
    lines.setdefault("source", f"{{folder: {os.path.relpath(weights, folder)}}}")
    (folder / "submission.yaml").write_text("\n".join(f"{key}: {value}" for key, value in lines.items()))
    return folder


def test_importing_the_room_loads_no_heavy_library():
    heavy = ["torch", "transformers", "sentence_transformers", "mteb", "bm25s", "scipy", "datasets", "huggingface_hub"]
    code = f"import sys, xlir_bench.encoders; print([name for name in {heavy} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(Path(xlir_bench.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_bundled_name_keeps_its_name(submissions, minilm):
    declare(submissions / "tiny", minilm, prompts='{query: "q: ", document: ""}', max_length=64)
    assert bundled() == ["tiny"]
    info = resolve("tiny", "cpu").info
    assert (info.id, info.name) == ("tiny", "tiny")
    assert info.prompts == {"query": "q: ", "document": ""}
    assert (info.details["max_length"], info.details["licence"]) == (64, "MIT")


def test_a_baseline_comes_before_a_bundled_name_and_that_before_a_folder(submissions, minilm, monkeypatch):
    declare(submissions / "bm25", minilm)
    declare(submissions / "tiny", minilm)
    monkeypatch.chdir(submissions)
    assert resolve("bm25").info.details["adapter"] == "bm25"
    assert resolve("tiny", "cpu").info.name == "tiny"
    by_path = resolve("./tiny", "cpu").info
    assert by_path.name == f"tiny-{by_path.fingerprint[:8]}"


def test_the_fingerprint_follows_content_not_place(minilm, tmp_path):
    copy = tmp_path / "another name"
    shutil.copytree(minilm, copy)
    original, copied = resolve(str(minilm), "cpu").info, resolve(str(copy), "cpu").info
    assert original.fingerprint == copied.fingerprint
    assert copied.name == f"another-name-{copied.fingerprint[:8]}"
    (copy / "README.md").write_text("changed")
    (copy / "results").mkdir()
    (copy / "results" / "xquad-r.json").write_text("{}")
    assert resolve(str(copy), "cpu").info.fingerprint == original.fingerprint
    pooling = copy / "1_Pooling" / "config.json"
    changed = pooling.read_text().replace('"pooling_mode_mean_tokens": true', '"pooling_mode_mean_tokens": false')
    pooling.write_text(changed.replace('"pooling_mode_cls_token": false', '"pooling_mode_cls_token": true'))
    assert resolve(str(copy), "cpu").info.fingerprint != original.fingerprint


def test_the_fingerprint_follows_the_settings(minilm, tmp_path):
    settings = [
        {},
        {"max_length": 64},
        {"prompts": '{query: "q: ", document: ""}'},
        {"prompts": '{query: "", document: "q: "}'},
        {"precision": "bfloat16"},
    ]
    folders = [declare(tmp_path / f"m{row}", minilm, **fields) for row, fields in enumerate(settings)]
    fingerprints = [resolve(str(folder), "cpu").info.fingerprint for folder in folders]
    assert len(set(fingerprints)) == len(settings)
    same = declare(tmp_path / "same", minilm, max_length=256)  # its own length
    assert resolve(str(same), "cpu").info.fingerprint == fingerprints[0] == resolve(str(minilm), "cpu").info.fingerprint


def test_another_similarity_is_another_model_with_the_same_vectors(minilm, tmp_path):
    cosine = resolve(str(declare(tmp_path / "cosine", minilm, similarity="cosine")), "cpu").info
    dot = resolve(str(declare(tmp_path / "dot", minilm, similarity="dot")), "cpu").info
    assert dot.fingerprint != cosine.fingerprint
    assert dot.vector_key == cosine.vector_key


@pytest.mark.parametrize(
    "languages",
    ["{supported: [en, de]}", "{supported: [en, de], fallback: en}", "{supported: {all-but: [th]}}"],
)
def test_declared_languages_are_part_of_what_identifies_vectors(minilm, tmp_path, languages):
    plain = resolve(str(declare(tmp_path / "plain", minilm)), "cpu").info
    other = resolve(str(declare(tmp_path / "other", minilm, languages=languages)), "cpu").info
    assert other.vector_key != plain.vector_key
    assert other.fingerprint != plain.fingerprint


def test_a_manifest_without_its_weights_is_an_error(tmp_path):
    folder = declare(tmp_path / "empty", tmp_path, source="{folder: weights}")
    with pytest.raises(InputError, match=r"submission\.yaml: source\.folder: there is no folder"):
        resolve(str(folder))


@pytest.mark.parametrize(
    ("model_id", "message"),
    [
        ("tyny", "unknown model 'tyny': did you mean tiny?"),
        ("bm26", "did you mean bm25?"),
        ("", "unknown model ''"),
        ("models/nowhere/at/all", "no model at 'models/nowhere/at/all': give a folder"),
        ("model.py", "no model at 'model.py'.*FILE.py:FACTORY"),
    ],
)
def test_an_unknown_id_is_one_line_with_what_would_be_right(submissions, minilm, model_id, message):
    declare(submissions / "tiny", minilm)
    with pytest.raises(InputError, match=message) as raised:
        resolve(model_id)
    assert "\n" not in str(raised.value)


def test_a_place_that_does_not_exist_is_missing():
    with pytest.raises(MissingResourceError, match=r"^\./nowhere/at/all: no such folder"):
        resolve("./nowhere/at/all")


def test_a_folder_that_is_no_model_is_an_error(tmp_path):
    with pytest.raises(
        InputError, match=r"is no model: it has none of submission\.yaml, modules\.json and config\.json"
    ):
        resolve(str(tmp_path))


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "CPU", "cpu;"])
@pytest.mark.parametrize("model_id", ["random", "bm25"])
def test_an_unknown_device_is_an_error_for_every_model(model_id, device):
    with pytest.raises(InputError, match="unknown device"):
        resolve(model_id, device)


def test_a_device_that_this_machine_lacks_is_an_error(minilm):
    import torch

    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(InputError, match=f"device '{absent}' is not usable here") as raised:
        resolve(str(minilm), absent)
    assert "\n" not in str(raised.value)


class Hub:
    """What takes the place of `huggingface_hub.snapshot_download`."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.asked = []

    def __call__(self, repository, **options):
        self.asked.append((repository, options))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return str(self.outcome)


@pytest.fixture
def hub(monkeypatch):
    import huggingface_hub

    def hub(outcome):
        replaced = Hub(outcome)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", replaced)
        return replaced

    return hub


def test_a_hub_id_is_its_snapshot_s_folder_and_commit(hub, minilm, tmp_path):
    commit = "a" * 40
    shutil.copytree(minilm, tmp_path / commit)
    asked = hub(tmp_path / commit).asked
    info = resolve("some-org/some.model", "cpu").info
    assert (info.id, info.name, info.revision) == (
        "some-org/some.model",
        f"some-org__some.model-{info.fingerprint[:8]}",
        commit,
    )
    assert info.fingerprint == resolve(str(minilm), "cpu").info.fingerprint
    assert "*.bin" not in asked[0][1]["allow_patterns"]


def test_two_commits_of_one_hub_id_never_share_a_name(hub, minilm, tmp_path):
    names = set()
    for commit, length in (("a" * 40, 256), ("b" * 40, 128)):
        folder = tmp_path / commit
        shutil.copytree(minilm, folder)
        (folder / "sentence_bert_config.json").write_text(f'{{"max_seq_length": {length}, "do_lower_case": false}}')
        hub(folder)
        names.add(resolve("some-org/some.model", "cpu").info.name)
    assert len(names) == 2


def test_options_that_change_vectors_change_fingerprint_and_name_and_are_recorded(submissions, minilm):
    declare(submissions / "tiny", minilm)
    plain = resolve("tiny", "cpu").info
    half = resolve("tiny", "cpu", Options(precision="bfloat16")).info
    stored = resolve("tiny", "cpu", Options(stored_as="float16")).info
    batched = resolve("tiny", "cpu", Options(batch_tokens=64, trust_remote_code=True)).info
    assert len({plain.fingerprint, half.fingerprint, stored.fingerprint}) == 3
    assert len({plain.name, half.name, stored.name}) == 3
    assert half.details["precision"] == "bfloat16"
    assert stored.details["stored_as"] == "float16"
    assert (batched.fingerprint, batched.name) == (plain.fingerprint, plain.name)
    assert resolve("tiny", "cpu", Options(precision="auto")).info.details["precision"] == "float32"


def test_pickles_and_code_are_fetched_from_the_hub_only_when_they_are_trusted(hub, minilm, tmp_path):
    shutil.copytree(minilm, tmp_path / ("a" * 40))
    asked = hub(tmp_path / ("a" * 40)).asked
    resolve("o/m", "cpu")
    resolve("o/m", "cpu", Options(trust_remote_code=True))
    plain, trusted = (set(options["allow_patterns"]) for _, options in asked)
    assert not {"*.bin", "*.py"} & plain
    assert {"*.bin", "*.py"} <= trusted


def test_a_manifest_pins_the_commit(hub, minilm, tmp_path):
    commit = "b" * 40
    shutil.copytree(minilm, tmp_path / commit)
    asked = hub(tmp_path / commit).asked
    folder = declare(tmp_path / "pinned", minilm, source=f"{{hub: some/model, revision: {commit}}}")
    assert resolve(str(folder), "cpu").info.revision == commit
    assert asked[0][0] == "some/model"
    assert asked[0][1]["revision"] == commit


def test_a_hub_that_cannot_be_reached_says_what_to_do():
    with pytest.raises(
        MissingResourceError, match=r"no-such-org/no-such-model is not on this machine.*connect, or"
    ) as raised:
        resolve("no-such-org/no-such-model")  # the tests are offline
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)
