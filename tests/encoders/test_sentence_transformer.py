"""Models of sentence-transformers: real weights against the library itself, and what is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from xlir_bench.collection import Texts
from xlir_bench.encoders import encode_texts, resolve
from xlir_bench.encoders import sentence_transformer as adapter
from xlir_bench.encoders.batching import Pace
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.errors import InputError

TEXTS = [
    "",
    "Where does the Danube meet the sea?",
    "где находится столица",
    "饮水机在哪里",
    "long " * 400,
    *(f"sentence {row} " + "and more " * (row % 17) for row in range(60)),
]


def encode(model, texts, role="query"):
    return model.retriever.encode(texts, role=role, languages=["en"] * len(texts))


@pytest.fixture(scope="module")
def reference(minilm):
    return SentenceTransformer(str(minilm), device="cpu")


@pytest.fixture
def static(tmp_path):
    """A tiny StaticEmbedding model with prompts, saved by the library."""
    words = ["[UNK]", "query:", "passage:", *(f"w{row}" for row in range(30))]
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = np.random.default_rng(0).standard_normal((len(words), 8)).astype(np.float32)
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=weights)],
        prompts={"query": "query: ", "document": "passage: "},
        similarity_fn_name="dot",
        device="cpu",
    )
    model.save(str(tmp_path / "static"))
    return tmp_path / "static"


def test_minilm_equals_the_library(minilm, reference):
    model = resolve(str(minilm), "cpu")
    theirs = reference.encode(TEXTS)
    np.testing.assert_allclose(encode(model, TEXTS), theirs, atol=1e-5)
    texts = Texts([str(row) for row in range(len(TEXTS))], TEXTS, ["en"] * len(TEXTS))
    np.testing.assert_allclose(encode_texts(model.retriever, model.info, texts, "document").vectors, theirs, atol=1e-5)


@pytest.mark.parametrize("kind", [adapter.SentenceTransformerEncoder, adapter.LibraryEncoder])
def test_a_small_budget_changes_batches_and_no_vectors(reference, kind):
    few = kind(reference, {"query": "", "document": ""}, Pace("cpu", 64))
    vectors = few.encode(TEXTS, role="query", languages=["en"] * len(TEXTS))
    np.testing.assert_allclose(vectors, reference.encode(TEXTS), atol=1e-5)


def test_a_model_that_does_more_than_tokenise_goes_through_the_library(reference, monkeypatch):
    assert isinstance(adapter.wrapped(reference, Settings(), "cpu").encoder, adapter.SentenceTransformerEncoder)
    original = type(reference).encode
    monkeypatch.setattr(type(reference), "encode", lambda self, *given, **named: -original(self, *given, **named))
    assert isinstance(adapter.wrapped(reference, Settings(), "cpu").encoder, adapter.LibraryEncoder)


def test_it_says_what_it_is(minilm):
    model = resolve(str(minilm), "cpu")
    assert model.info.similarity == "cosine"
    assert model.info.prompts == {"query": "", "document": ""}
    details = model.info.details
    assert (details["dimensions"], details["max_length"], details["parameters"]) == (384, 256, 22713216)
    assert (details["device"], details["precision"]) == ("cpu", "float32")
    assert details["bytes"] > 90_000_000


def test_no_texts_give_no_vectors(minilm):
    assert encode(resolve(str(minilm), "cpu"), []).shape == (0, 384)


def test_a_static_embedding_with_the_prompts_of_its_configuration(static):
    model = resolve(str(static))
    library = SentenceTransformer(str(static), device="cpu")
    texts = ["w1 w2", "w3", "unknown words", "w1 " * 50]
    assert model.info.prompts == {"query": "query: ", "document": "passage: "}
    assert model.info.similarity == "dot"
    assert model.info.details["max_length"] is None
    np.testing.assert_allclose(encode(model, texts), library.encode_query(texts), atol=1e-6)
    np.testing.assert_allclose(encode(model, texts, "document"), library.encode_document(texts), atol=1e-6)


def test_the_manifest_s_prompts_replace_those_of_the_configuration(static):
    loaded = adapter.load(static, Settings(prompts={"query": "w9 ", "document": ""}, similarity="cosine"), "cpu")
    library = SentenceTransformer(str(static), device="cpu")
    assert loaded.prompts == {"query": "w9 ", "document": ""}
    assert loaded.similarity == "cosine"
    vectors = loaded.encoder.encode(["w1"], role="query", languages=["en"])
    np.testing.assert_allclose(vectors, library.encode(["w9 w1"], prompt=""), atol=1e-6)


def test_max_length_cuts_texts(minilm, reference):
    loaded = adapter.load(minilm, Settings(max_length=8), "cpu")
    short, long = loaded.encoder.encode(
        ["one two three four five six", "one two three four five six seven eight nine"],
        role="query",
        languages=["en"] * 2,
    )
    np.testing.assert_allclose(short, long, atol=1e-5)
    assert loaded.fingerprint_fields["max_length"] == 8


def test_pickled_weights_are_refused(minilm, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(minilm, folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled only \(pytorch_model.bin\).*safetensors"):
        resolve(str(folder))


def test_pickled_weights_of_one_module_are_refused(static):
    library = SentenceTransformer(str(static), device="cpu")
    dense = SentenceTransformer(modules=[*library, Dense(8, 4)], device="cpu")
    folder = static.parent / "dense"
    dense.save(str(folder))
    assert encode(resolve(str(folder)), ["w1"]).shape == (1, 4)
    [weights] = (folder / "1_Dense").glob("*.safetensors")
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(InputError, match="1_Dense: the weights are pickled only"):
        resolve(str(folder))


def test_code_that_comes_with_a_model_is_not_run(static):
    modules = json.loads((static / "modules.json").read_text())
    modules[0]["type"] = "custom_code.Module"
    (static / "modules.json").write_text(json.dumps(modules))
    (static / "custom_code.py").write_text("raise SystemExit('this ran')")
    with pytest.raises(InputError, match=r"custom_code\.Module is code that comes with the model"):
        resolve(str(static))


@pytest.mark.parametrize("content", ["[]]", "{}x", '[{"idx": 0}]', "3"])
def test_a_broken_modules_json_is_named(static, content):
    (static / "modules.json").write_text(content)
    with pytest.raises(InputError, match=r"modules\.json: not a list of sentence-transformers modules"):
        resolve(str(static))


def test_a_folder_that_cannot_be_loaded_is_one_line(static):
    for path in static.rglob("*.safetensors"):
        path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="sentence-transformers cannot load it") as raised:
        resolve(str(static))
    assert "\n" not in str(raised.value)


def test_pooling_is_not_the_manifest_s_to_choose(static):
    with pytest.raises(InputError, match="pooling is part of a sentence-transformers model"):
        adapter.load(static, Settings(pooling="mean"), "cpu")
