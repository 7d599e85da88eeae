"""Pickled weights are unpickled once, where they are trusted, and come from safetensors ever after."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from small_models import TEXTS, save_tokenizer, spread

from xlir_bench.encoders import Options, resolve
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.encoders.converted import safe_weights
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import cache_folder

TRUSTED = Options(trust_remote_code=True)


@pytest.fixture(scope="module")
def safe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("safe")
    size = save_tokenizer(folder, ("[CLS]", "[PAD]", "[SEP]", "[UNK]"), 24)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=size, max_position_embeddings=24, pad_token_id=1, **shape)
    spread(transformers.BertModel(config)).save_pretrained(folder)
    return folder


@pytest.fixture
def pickled(safe, tmp_path):
    """The same model as it was saved before there was safetensors, with two names for one tensor."""
    folder = tmp_path / "pickled"
    shutil.copytree(safe, folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weights["cls.predictions.decoder.weight"] = weights["embeddings.word_embeddings.weight"]
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


def encode(model, texts=TEXTS):
    return model.retriever.encode(texts, role="query", languages=["en"] * len(texts))


def test_what_was_trusted_once_needs_no_trust_and_no_unpickling_again(safe, pickled, monkeypatch):
    with pytest.raises(InputError, match=r"pickled only \(pytorch_model\.bin\).*--trust-remote-code, once"):
        resolve(str(pickled), "cpu")
    first = resolve(str(pickled), "cpu", TRUSTED)
    monkeypatch.setattr(torch, "load", None)
    again = resolve(str(pickled), "cpu")
    np.testing.assert_array_equal(encode(first), encode(resolve(str(safe), "cpu")))
    np.testing.assert_array_equal(encode(again), encode(first))
    assert again.info.fingerprint == first.info.fingerprint


def test_one_bit_more_is_not_what_was_trusted(pickled):
    resolve(str(pickled), "cpu", TRUSTED)
    with (pickled / "pytorch_model.bin").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match="pickled only"):
        resolve(str(pickled), "cpu")


def test_weights_in_parts_are_converted_part_by_part(safe, pickled):
    weights = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    (pickled / "pytorch_model.bin").unlink()
    names = sorted(weights)
    parts = {f"pytorch_model-0000{n + 1}-of-00002.bin": names[n::2] for n in range(2)}
    for file, held in parts.items():
        torch.save({name: weights[name] for name in held}, pickled / file)
    index = {"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}}
    (pickled / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    np.testing.assert_array_equal(encode(resolve(str(pickled), "cpu", TRUSTED)), encode(resolve(str(safe), "cpu")))
    assert resolve(str(pickled), "cpu").info.details["parameters"] > 0


def test_a_pickled_module_of_a_safe_model_is_converted_and_counts(tmp_path):
    from sentence_transformers.models import Dense, StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "w1": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    vectors = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=vectors), Dense(8, 4)], device="cpu"
    )
    model.save(str(tmp_path / "m"))
    expected = model.encode(["w1"])
    path = tmp_path / "m" / "1_Dense" / "model.safetensors"
    weights = load_file(path)
    path.unlink()
    torch.save(weights, path.with_name("pytorch_model.bin"))
    found = resolve(str(tmp_path / "m"), "cpu", TRUSTED)
    np.testing.assert_allclose(encode(found, ["w1"]), expected, atol=1e-6)
    torch.save({name: 2 * value for name, value in weights.items()}, path.with_name("pytorch_model.bin"))
    other = resolve(str(tmp_path / "m"), "cpu", TRUSTED)
    assert other.info.fingerprint != found.info.fingerprint


def test_a_pickle_that_would_run_code_is_refused_even_when_trusted(pickled):
    class Runs:
        def __reduce__(self):
            return exec, ("raise SystemExit('this ran')",)

    torch.save({"a": Runs()}, pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match="restricted unpickler cannot read it") as raised:
        resolve(str(pickled), "cpu", TRUSTED)
    assert "\n" not in str(raised.value)
    assert not list((cache_folder() / "converted").iterdir())


def test_a_pickle_of_something_else_is_one_line(pickled):
    torch.save({"epoch": 3}, pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match="not a mapping from names to tensors"):
        resolve(str(pickled), "cpu", TRUSTED)


def test_no_place_for_the_copy_is_one_line(pickled, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(MissingResourceError, match=r"cannot write .*XLIR_BENCH_CACHE"):
        resolve(str(pickled), "cpu", TRUSTED)


def test_safe_weights_stay_where_they_are(safe):
    assert safe_weights(safe, Settings()) == safe
    assert safe_weights(safe, Settings(trust_remote_code=True)) == safe
