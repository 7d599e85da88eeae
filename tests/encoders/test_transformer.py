"""Plain transformers checkpoints: small random ones, against the same model run on one text at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from small_models import save_tokenizer

from xlir_bench.encoders import resolve, transformer
from xlir_bench.encoders.batching import batches
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.errors import InputError

TEXTS = ["w1", "w2 w3 w4 w5 w6", "", "w7 " * 30, "w8 w9", *(f"w{row} " * (row % 11 + 1) for row in range(40))]
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def checkpoint(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    if request.param == "bert":
        size = save_tokenizer(folder, ("[CLS]", "[PAD]", "[SEP]", "[UNK]"), 24)
        config = transformers.BertConfig(vocab_size=size, max_position_embeddings=24, pad_token_id=1, **SHAPE)
        model = transformers.BertModel(config)
    else:
        size = save_tokenizer(folder, ("<s>", "<pad>", "</s>", "<unk>"), int(1e30))
        config = transformers.XLMRobertaConfig(vocab_size=size, max_position_embeddings=26, pad_token_id=1, **SHAPE)
        model = transformers.XLMRobertaModel(config)
    for parameter in model.parameters():  # the usual start is so small that every vector is nearly the same
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


def by_hand(folder, texts, pooling, max_length):
    """One text at a time, no padding: the definition of the two poolings."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        with torch.no_grad():
            states = model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()
        vectors.append(states[0] if pooling == "cls" else states.mean(axis=0))
    return np.array(vectors)


def encode(loaded, texts, role="query"):
    return loaded.encoder.encode(texts, role=role, languages=["en"] * len(texts))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_computed_by_hand(checkpoint, pooling):
    loaded = transformer.load(checkpoint, Settings(pooling=pooling), "cpu")
    assert loaded.fingerprint_fields == {"pooling": pooling, "max_length": 24, "precision": "float32"}
    vectors = encode(loaded, TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, by_hand(checkpoint, TEXTS, pooling, 24), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_neither_order_nor_padding_matters(checkpoint, pooling):
    loaded = transformer.load(checkpoint, Settings(pooling=pooling), "cpu")
    together = encode(loaded, TEXTS)
    np.testing.assert_allclose(encode(loaded, TEXTS[::-1])[::-1], together, atol=1e-5)
    np.testing.assert_allclose(encode(loaded, ["w1", "w2 " * 20])[0], encode(loaded, ["w1"])[0], atol=1e-5)


def test_each_role_has_its_prefix(checkpoint):
    loaded = transformer.load(checkpoint, Settings(prompts={"query": "query: ", "document": "passage: "}), "cpu")
    assert loaded.prompts == {"query": "query: ", "document": "passage: "}
    for role, prefix in loaded.prompts.items():
        expected = by_hand(checkpoint, [prefix + text for text in TEXTS], "mean", 24)
        np.testing.assert_allclose(encode(loaded, TEXTS, role), expected, atol=1e-5)


def test_max_length_counts_special_tokens_and_prompt(checkpoint):
    loaded = transformer.load(checkpoint, Settings(max_length=5), "cpu")
    np.testing.assert_allclose(encode(loaded, TEXTS), by_hand(checkpoint, TEXTS, "mean", 5), atol=1e-5)
    short, long = encode(loaded, ["w1 w2 w3", "w1 w2 w3 w4"])
    np.testing.assert_allclose(short, long, atol=1e-5)


def test_a_length_beyond_the_model_s_positions_is_refused(checkpoint):
    with pytest.raises(InputError, match="max_length 25 is more than the model's 24 positions"):
        transformer.load(checkpoint, Settings(max_length=25), "cpu")


def test_half_precision_is_another_model_and_still_gives_float32(checkpoint):
    full = transformer.load(checkpoint, Settings(), "cpu")
    half = transformer.load(checkpoint, Settings(precision="bfloat16"), "cpu")
    assert encode(half, TEXTS).dtype == np.float32
    assert not np.array_equal(encode(half, TEXTS), encode(full, TEXTS))


def test_a_plain_folder_resolves_to_mean_pooling(checkpoint):
    model = resolve(str(checkpoint), "cpu")
    assert model.info.details["pooling"] == "mean"
    assert model.info.details["dimensions"] == 16
    assert model.info.name == f"{checkpoint.name}-{model.info.fingerprint[:8]}"
    vectors = model.retriever.encode(TEXTS, role="query", languages=["en"] * len(TEXTS))
    np.testing.assert_allclose(vectors, by_hand(checkpoint, TEXTS, "mean", 24), atol=1e-5)


def test_no_texts_give_no_vectors(checkpoint):
    assert encode(transformer.load(checkpoint, Settings(), "cpu"), []).shape == (0, 16)


def test_a_model_with_a_decoder_is_refused(checkpoint, tmp_path):
    config = transformers.T5Config(vocab_size=44, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    transformers.T5Model(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, ("<s>", "<pad>", "</s>", "<unk>"), 24)
    with pytest.raises(InputError, match=r"a model with an encoder and a decoder.*T5Model"):
        resolve(str(tmp_path))


def test_a_folder_without_weights_or_with_broken_ones_is_one_line(checkpoint, tmp_path):
    (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    with pytest.raises(InputError, match="no weights"):
        resolve(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match="transformers cannot load it") as raised:
        resolve(str(tmp_path))
    assert "\n" not in str(raised.value)


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 500), st.integers(1, 20))
def test_batches_hold_every_text_once_within_the_budget(lengths, budget, most):
    cut = [at.tolist() for at in batches(lengths, budget, most)]
    assert sorted(position for at in cut for position in at) == list(range(len(lengths)))
    longest = [max(lengths[position] for position in at) for at in cut]
    assert longest == sorted(longest, reverse=True)
    for at, length in zip(cut, longest, strict=True):
        assert len(at) <= most
        assert len(at) == 1 or len(at) * length <= budget
