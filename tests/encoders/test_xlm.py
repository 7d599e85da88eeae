"""XLM checkpoints, against the model run on one text at a time with its language spelled out per token."""

from __future__ import annotations

import numpy as np
import pytest
import small_models
import torch
import transformers

from xlir_bench.encoders import Spoken, xlm
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.errors import InputError

TEXTS = ["the cat", "der hund und die katze", "kedi", "the " * 30]
LANGUAGES = ["en", "de", "tr", "en"]


@pytest.fixture(scope="module", params=[True, False], ids=["with language embeddings", "without"])
def checkpoint(request, tmp_path_factory):
    pytest.importorskip("sacremoses")
    return small_models.save_xlm(tmp_path_factory.mktemp("xlm"), request.param)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    pytest.importorskip("sacremoses")
    return small_models.save_xlm(tmp_path_factory.mktemp("xlm"))


def by_hand(folder, texts, languages, pooling):
    model = transformers.XLMModel.from_pretrained(folder).eval()
    tokenizer = transformers.XLMTokenizer.from_pretrained(folder)
    vectors = []
    for text, code in zip(texts, languages, strict=True):
        # These words mean the same to Moses in all three languages, so the public call gives their tokens too.
        ids = tokenizer(text, truncation=True, max_length=40)["input_ids"]
        langs = torch.full((1, len(ids)), {"de": 0, "en": 1, "tr": 2}[code])
        with torch.no_grad():
            states = model(input_ids=torch.tensor([ids]), langs=langs).last_hidden_state[0].numpy()
        vectors.append(states[0] if pooling == "cls" else states.mean(axis=0))
    return np.array(vectors)


def encode(loaded, texts=TEXTS, languages=LANGUAGES):
    return loaded.encoder.encode(texts, role="document", languages=languages)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_computed_by_hand(checkpoint, pooling):
    loaded = xlm.load(checkpoint, Settings(pooling=pooling), "cpu")
    np.testing.assert_allclose(encode(loaded), by_hand(checkpoint, TEXTS, LANGUAGES, pooling), atol=1e-5)


def test_neither_order_nor_batch_nor_padding_matters(checkpoint):
    together = encode(xlm.load(checkpoint, Settings(), "cpu"))
    alone = xlm.load(checkpoint, Settings(batch_tokens=1), "cpu")
    np.testing.assert_allclose(encode(alone, TEXTS[::-1], LANGUAGES[::-1])[::-1], together, atol=1e-5)


def test_the_language_is_part_of_the_vector_where_the_model_is_told_it(told):
    english, german = encode(xlm.load(told, Settings(), "cpu"), ["katze"] * 2, ["en", "de"])
    assert np.abs(english - german).max() > 1e-2


def test_a_language_without_an_id_is_an_error_unless_a_fallback_is_declared(told):
    with pytest.raises(InputError, match=r"XLM does not know French \(fr\)"):
        encode(xlm.load(told, Settings(), "cpu"), ["chat"], ["fr"])
    loaded = xlm.load(told, Settings(spoken=Spoken(fallback="en")), "cpu")
    np.testing.assert_array_equal(encode(loaded, ["chat"], ["fr"]), encode(loaded, ["chat"], ["en"]))
    with pytest.raises(InputError, match="no id for 'fr'; it has de en tr"):
        xlm.load(told, Settings(spoken=Spoken(fallback="fr")), "cpu")


def test_another_architecture_is_refused(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="bert is not XLM"):
        xlm.load(tmp_path, Settings(), "cpu")
