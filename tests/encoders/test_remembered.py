"""A checkpoint that was loaded once is recognised without being loaded, by everything that decides its identity."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from xlir_bench import evaluate
from xlir_bench.encoders import Options, identify, resolve


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small static model, as sentence-transformers saves it."""
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.models import StaticEmbedding

    words = {word: row for row, word in enumerate(["[UNK]", *"abcdefghijklmnopqrstuvwxyz"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    vectors = np.random.default_rng(0).standard_normal((len(words), 16)).astype(np.float32)
    place = tmp_path_factory.mktemp("static") / "model"
    library.SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)]).save(str(place))
    return place


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "model")


def identified(monkeypatch, *given):
    """What is known in a process that has not loaded torch."""
    with monkeypatch.context() as context:
        context.delitem(sys.modules, "torch", raising=False)
        return identify(*given)


@pytest.mark.parametrize("options", [Options(), Options(similarity="dot"), Options(stored_as="float16")])
def test_a_checkpoint_is_the_same_loaded_or_not(folder, monkeypatch, options):
    resolve(str(folder), "cpu", Options(query_prompt="q: "))
    assert identified(monkeypatch, str(folder), "cpu", options) is None
    loaded = resolve(str(folder), "cpu", options)
    assert identified(monkeypatch, str(folder), "cpu", options).info == loaded.info


def test_a_bundled_submission_too(monkeypatch):
    loaded = resolve("xlir-hybrid-static")
    assert identified(monkeypatch, "xlir-hybrid-static").info == loaded.info


def test_another_content_another_device_or_library_is_not_known(folder, monkeypatch):
    resolve(str(folder), "cpu")
    assert identified(monkeypatch, str(folder), None) is None
    assert identified(monkeypatch, str(folder), "cpu", Options(trust_remote_code=True)) is None
    copy = shutil.copytree(folder, folder.with_name("copy"))
    assert identified(monkeypatch, str(copy), "cpu") is not None  # the place does not matter
    with monkeypatch.context() as context:
        context.setattr("xlir_bench.encoders.remembered._versions", lambda: {"transformers": "0"})
        assert identified(monkeypatch, str(folder), "cpu") is None
    settings = next(path for path in sorted(folder.rglob("*.json")) if path.name == "tokenizer.json")
    settings.write_text(settings.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert identified(monkeypatch, str(folder), "cpu") is None


def test_what_only_loading_tells_is_not_asked(tmp_path, monkeypatch):
    (tmp_path / "made.py").write_text("raise SystemExit('this ran')\n")
    for model_id in (f"{tmp_path}/made.py:build", "bm25", "random", "openai:m", "mteb:m", "org/name", str(tmp_path)):
        assert identified(monkeypatch, model_id) is None


def test_where_torch_is_loaded_nothing_is_taken_for_known(folder):
    resolve(str(folder), "cpu")
    assert "torch" in sys.modules
    assert identify(str(folder), "cpu") is None


AGAIN = """
    import sys
    from xlir_bench.cli.main import cli
    with cli.make_context("xlir-bench", sys.argv[1:]) as context:
        cli.invoke(context)
    print(*({"torch", "altair", "scipy.stats", "sentence_transformers"} & set(sys.modules)), "loaded", file=sys.stderr)
"""


def test_a_finished_run_loads_neither_model_nor_charts(folder, tmp_path):
    found = evaluate(str(folder), "xlir-mini", languages=["de", "en"], output=tmp_path / "out")
    again = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AGAIN), "run", folder, "--languages", "de,en", "--output", "out"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert again.returncode == 0, again.stderr
    assert f"out/{found.path.parent.name}/xlir-mini.json (finished by an earlier run)" in again.stderr
    assert again.stderr.splitlines()[-1] == "loaded"
