"""A field of a manifest, or an option, that an adapter does not use is an error and not silence."""

from __future__ import annotations

import numpy as np
import pytest
from kinds_of_models import save_bert

from xlir_bench.encoders import Options, resolve
from xlir_bench.encoders.adapters import SOURCES, USES
from xlir_bench.encoders.checkpoint import MEASURING, Settings
from xlir_bench.errors import InputError, XlirError

FIELDS = {
    "pooling": "mean",
    "max_length": "12",
    "prompts": "{query: 'q '}",
    "similarity": "cosine",
    "precision": "float32",
    "backend": "torch",
    "truncate_dim": "3",
}
OPTIONS = {
    "pooling": Options(pooling="mean"),
    "max_length": Options(max_length=8),
    "prompts": Options(document_prompt=""),
    "prompt_names": Options(query_prompt_name="query"),
    "similarity": Options(similarity="cosine"),
    "precision": Options(precision="float32"),
    "backend": Options(backend="torch"),
    "truncate_dim": Options(truncate_dim=3),
    "batch_tokens": Options(batch_tokens=64),
    "batch_size": Options(batch_size=8),
}
SOURCE = {
    "mteb": "source: {mteb: intfloat/multilingual-e5-small}\n",
    "server": "source: {server: 'http://127.0.0.1:9', model: m}\n",
    "embeddings": "source: {embeddings: e.parquet}\n",
    "none": "",
}


def unused(adapter):
    return [(adapter, name) for name in sorted(MEASURING - USES[adapter])]


def test_every_adapter_says_what_it_uses():
    assert set(USES) == {*SOURCES, "random", "factory", "object"}
    assert all(used <= MEASURING for used in USES.values())
    assert set(OPTIONS) == MEASURING


@pytest.mark.parametrize(
    ("adapter", "name"),
    [pair for adapter in ("mteb", "openai", "precomputed", "bm25") for pair in unused(adapter) if pair[1] in FIELDS],
)
def test_a_field_of_a_manifest_without_effect_is_named(tmp_path, adapter, name):
    (tmp_path / "submission.yaml").write_text(
        f"name: m\n{SOURCE[SOURCES[adapter]]}adapter: {adapter}\nlicence: MIT\n{name}: {FIELDS[name]}\n"
    )
    with pytest.raises(InputError, match=rf"{name} \(--.*no effect on the adapter {adapter}, which takes "):
        resolve(str(tmp_path), "cpu")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        pair
        for model, adapter in (
            ("bm25", "bm25"),
            ("random", "random"),
            ("random:3", "random"),
            ("openai:m", "openai"),
            ("mteb:intfloat/multilingual-e5-small", "mteb"),
            ("factory.py:make", "factory"),
        )
        for pair in ((model, name) for _, name in unused(adapter))
    ],
)
def test_an_option_without_effect_is_named(model, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    (tmp_path / "factory.py").write_text("raise SystemExit('this ran')")
    with pytest.raises(InputError, match=rf"{model}: {name} \(--.*would have no effect"):
        resolve(model, "cpu", OPTIONS[name])


def test_vectors_made_elsewhere_take_a_similarity_and_nothing_else(tmp_path):
    from safetensors.numpy import save_file

    vectors = np.eye(2, dtype=np.float32)
    save_file(
        {"query": vectors, "document": vectors},
        tmp_path / "e.safetensors",
        {"query": '["a", "b"]', "document": '["c", "d"]'},
    )
    assert resolve(str(tmp_path / "e.safetensors"), options=Options(similarity="dot")).info.similarity == "dot"
    for name in sorted(MEASURING - {"similarity"}):
        with pytest.raises(InputError, match=f"{name} .*which takes similarity"):
            resolve(str(tmp_path / "e.safetensors"), options=OPTIONS[name])


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_checkpoint_takes_what_its_adapter_uses(name, tmp_path):
    folder = save_bert(tmp_path)
    if name in USES["transformers"]:
        resolve(str(folder), "cpu", OPTIONS[name])
    else:
        with pytest.raises(InputError, match=name):
            resolve(str(folder), "cpu", OPTIONS[name])


def test_pooling_is_a_sentence_transformers_model_s_own(minilm):
    with pytest.raises(InputError, match=r"pooling \(--pooling\) would have no effect on the adapter sentence-trans"):
        resolve(str(minilm), "cpu", Options(pooling="cls"))


def test_vectors_that_are_not_stored_are_not_rounded():
    with pytest.raises(InputError, match=r"bm25: --cache-as would have no effect"):
        resolve("bm25", options=Options(stored_as="float16"))
    assert resolve("random", options=Options(stored_as="float16")).info.name == "random-float16"


def test_a_default_that_nobody_set_is_no_setting():
    for adapter, used in USES.items():
        Settings().refuse_unused(adapter, used, "m")
        Options().over(Settings(), "cpu").refuse_unused(adapter, used, "m")
    with pytest.raises(XlirError, match="precision"):
        Settings(explicit=frozenset({"precision"})).refuse_unused("bm25", USES["bm25"], "m")


def test_a_bundled_submission_that_an_option_changes_has_another_name():
    plain = resolve("xlir-hybrid-static", "cpu").info
    changed = resolve("xlir-hybrid-static", "cpu", Options(truncate_dim=8)).info
    assert plain.name == "xlir-hybrid-static"
    assert changed.name == f"xlir-hybrid-static-{changed.fingerprint[:8]}"
    assert changed.fingerprint != plain.fingerprint
