"""M2M-100's encoder half, against the whole translation model run on one text at a time."""

from __future__ import annotations

import numpy as np
import pytest
import small_models
import torch
import transformers
from safetensors.torch import load_file, save_file

from xlir_bench.encoders import LanguageSupport, m2m100, manifest, resolve
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.errors import InputError

SENTENCES = [
    "where does the river meet the sea",
    "die Brücke wurde über den Fluss gebaut",
    "nehir denize nerede dökülür",
    "столица расположена на берегу реки",
    "一座城市有多少居民",
    "the old town",
    "der alte Turm",
]
LANGUAGES = ["en", "de", "tr", "ru", "zh", "en", "de"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return small_models.save_m2m100(tmp_path_factory.mktemp("m2m100"), SENTENCES * 20)


def by_hand(folder, texts, languages, without_language=False):
    """The encoder inside the whole model, on the tokens that its tokenizer gives for each source language."""
    model = transformers.M2M100ForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer = transformers.M2M100Tokenizer.from_pretrained(folder)
    vectors = []
    for text, code in zip(texts, languages, strict=True):
        tokenizer.src_lang = code
        ids = tokenizer(text)["input_ids"]
        assert ids[0] == tokenizer.get_lang_id(code)
        assert ids[-1] == tokenizer.eos_token_id
        with torch.no_grad():
            states = model.model.encoder(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()
        vectors.append(states[1 if without_language else 0 :].mean(axis=0))
    return np.array(vectors)


def encode(loaded, texts=SENTENCES, languages=LANGUAGES):
    return loaded.encoder.encode(texts, role="query", languages=languages)


def test_vectors_are_those_of_the_whole_model_s_encoder_in_each_text_s_language(checkpoint):
    loaded = m2m100.load(checkpoint, Settings(), "cpu")
    np.testing.assert_allclose(encode(loaded), by_hand(checkpoint, SENTENCES, LANGUAGES), atol=1e-5)
    assert loaded.fingerprint_fields == {
        "pooling": "mean",
        "max_length": 64,
        "precision": "float32",
        "fallback": "error",
    }


def test_the_language_token_can_be_left_out_of_the_mean(checkpoint):
    loaded = m2m100.load(checkpoint, Settings(pooling="mean-of-text"), "cpu")
    expected = by_hand(checkpoint, SENTENCES, LANGUAGES, without_language=True)
    np.testing.assert_allclose(encode(loaded), expected, atol=1e-5)


def test_neither_order_nor_batch_nor_padding_matters(checkpoint):
    together = encode(m2m100.load(checkpoint, Settings(), "cpu"))
    alone = m2m100.load(checkpoint, Settings(batch_tokens=1), "cpu")
    np.testing.assert_allclose(encode(alone), together, atol=1e-5)
    np.testing.assert_allclose(encode(alone, SENTENCES[::-1], LANGUAGES[::-1])[::-1], together, atol=1e-5)


def test_the_same_words_in_another_language_are_another_vector(checkpoint):
    loaded = m2m100.load(checkpoint, Settings(), "cpu")
    english, german = encode(loaded, ["the old town"] * 2, ["en", "de"])
    assert np.abs(english - german).max() > 1e-2


def test_a_long_text_keeps_its_language_and_its_end(checkpoint):
    loaded = m2m100.load(checkpoint, Settings(max_length=8), "cpu")
    [ids] = loaded.encoder.tokenise(["the river " * 30], "query", ["de"])
    tokenizer = transformers.M2M100Tokenizer.from_pretrained(checkpoint)
    assert len(ids) == 8
    assert (ids[0], ids[-1]) == (tokenizer.get_lang_id("de"), tokenizer.eos_token_id)


def test_telugu_is_an_error_unless_a_fallback_is_declared(checkpoint):
    with pytest.raises(InputError, match=r"M2M-100 does not know Telugu \(te\).*fallback"):
        encode(m2m100.load(checkpoint, Settings(), "cpu"), ["a"], ["te"])
    hindi = m2m100.load(checkpoint, Settings(language_support=LanguageSupport(fallback="hi")), "cpu")
    np.testing.assert_array_equal(encode(hindi, ["a"], ["te"]), encode(hindi, ["a"], ["hi"]))
    assert hindi.fingerprint_fields["fallback"] == "hi"


@pytest.mark.parametrize("fallback", ["te", "as-is"])
def test_a_fallback_that_the_model_has_no_code_for_is_refused(checkpoint, fallback):
    with pytest.raises(InputError, match=f"has to be told a language, and has no code for '{fallback}'"):
        m2m100.load(checkpoint, Settings(language_support=LanguageSupport(fallback=fallback)), "cpu")


def test_filipino_is_called_as_the_model_calls_it(checkpoint):
    loaded = m2m100.load(checkpoint, Settings(), "cpu")
    np.testing.assert_array_equal(encode(loaded, ["a b"], ["fil"]), encode(loaded, ["a b"], ["tl"]))


def test_a_weight_that_is_missing_is_named(checkpoint, tmp_path):
    weights = load_file(checkpoint / "model.safetensors")
    del weights["model.encoder.layers.1.fc1.weight"]
    for path in checkpoint.iterdir():
        if path.suffix in {".json", ".model"}:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"lacks weights of the encoder: layers\.1\.fc1\.weight"):
        m2m100.load(tmp_path, Settings(), "cpu")


def test_pickled_weights_are_read_only_when_they_are_trusted(checkpoint, tmp_path):
    for path in checkpoint.iterdir():
        if path.suffix in {".json", ".model"}:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(load_file(checkpoint / "model.safetensors"), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"unpickling can run any code.*--trust-remote-code"):
        m2m100.load(tmp_path, Settings(), "cpu")
    trusted = m2m100.load(tmp_path, Settings(trust_remote_code=True), "cpu")
    np.testing.assert_array_equal(encode(trusted), encode(m2m100.load(checkpoint, Settings(), "cpu")))


def test_a_manifest_s_languages_reach_the_model_and_the_runner(checkpoint, tmp_path):
    text = "{name: m, adapter: m2m100, licence: MIT, languages: {supported: {all-but: [tr]}}, source: {folder: %s}}"
    (tmp_path / "submission.yaml").write_text(text % checkpoint)
    assert manifest.read(tmp_path / "submission.yaml").adapter == "m2m100"
    model = resolve(str(tmp_path), "cpu")
    for codes in (["en", "te"], ["tr"]):
        with pytest.raises(InputError, match="does not know"):
            model.language_support.check(codes, "m")
    model.language_support.check(["en", "fil"], "m")


def test_another_architecture_is_refused(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="bert is not M2M-100"):
        m2m100.load(tmp_path, Settings(), "cpu")
