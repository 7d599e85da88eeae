"""XLM checkpoints, against the model run on one text at a time with its language spelled out per token."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
import pytest
import small_models
import torch
import transformers

from xlir_bench.encoders import LanguageSupport, xlm
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.errors import InputError, MissingResourceError

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
    loaded = xlm.load(told, Settings(language_support=LanguageSupport(fallback="en")), "cpu")
    np.testing.assert_array_equal(encode(loaded, ["chat"], ["fr"]), encode(loaded, ["chat"], ["en"]))
    with pytest.raises(InputError, match="no id for 'fr'; it has de en tr"):
        xlm.load(told, Settings(language_support=LanguageSupport(fallback="fr")), "cpu")


def test_another_architecture_is_refused(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="bert is not XLM"):
        xlm.load(tmp_path, Settings(), "cpu")


THAI, CHINESE, JAPANESE = "แม่น้ำสายนี้ยาวกี่กิโลเมตร", "这座城市有多少居民", "この町の川"


@pytest.fixture(scope="module")
def asian(tmp_path_factory):
    """Without the marks above and below letters, which XLM drops."""
    pytest.importorskip("sacremoses")
    letters = {"th": THAI, "zh": CHINESE, "ja": JAPANESE}
    bare = {code: "".join(c for c in text if unicodedata.category(c) != "Mn") for code, text in letters.items()}
    return small_models.save_xlm(tmp_path_factory.mktemp("xlm"), others=bare)


def words_of(code, text):
    if code == "th":
        return pytest.importorskip("pythainlp", reason="needs the extra xlm").word_tokenize(text)
    return list(pytest.importorskip("rjieba", reason="needs the extra xlm").cut(text))


@pytest.mark.parametrize(("code", "text"), [("th", THAI), ("zh", CHINESE)])
def test_thai_and_chinese_are_cut_into_words_by_the_libraries_of_the_extra(asian, code, text):
    vocabulary = json.loads((asian / "vocab.json").read_text())
    words = words_of(code, text)
    assert 1 < len(words) < len(text)
    expected = []
    for word in words:
        letters = [c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn"]
        expected += [vocabulary[letter] for letter in letters[:-1]] + [vocabulary[f"{letters[-1]}</w>"]]
    encoder = xlm.load(asian, Settings(), "cpu").encoder
    [ids] = encoder.tokenise([text], "query", [code])
    assert ids == [vocabulary["<s>"], *expected, vocabulary["</s>"]]
    # Cut as English, which has spaces, the text would be one word.
    assert ids != encoder.tokenise([text], "query", ["en"])[0]


@pytest.mark.parametrize(("code", "package"), [("th", "pythainlp"), ("zh", "rjieba"), ("ja", "kytea")])
def test_a_language_whose_words_nothing_can_cut_is_one_line(asian, monkeypatch, code, package):
    monkeypatch.setattr(xlm, "find_spec", lambda name: None)
    encoder = xlm.load(asian, Settings(), "cpu").encoder
    with pytest.raises(MissingResourceError, match=rf"\({code}\) with the package {package}: .*--languages") as raised:
        encoder.tokenise(["a"], "query", [code])
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)


def test_japanese_needs_the_model_of_kytea_where_transformers_looks_for_it(asian, monkeypatch, tmp_path):
    monkeypatch.setattr(xlm, "find_spec", lambda name: object())
    monkeypatch.setenv("HOME", str(tmp_path))
    encoder = xlm.load(asian, Settings(), "cpu").encoder
    with pytest.raises(MissingResourceError, match=r"~/local/share/kytea/model\.bin only"):
        encoder.tokenise([JAPANESE], "query", ["ja"])
