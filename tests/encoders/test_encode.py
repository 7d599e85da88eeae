"""`encode_texts`: one matrix in the order of the texts, each distinct text encoded once, bad encoders named."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlir_bench.collection import Texts
from xlir_bench.encoders import ModelInfo, VectorCache, encode_texts
from xlir_bench.encoders import encode as encode_module
from xlir_bench.encoders.random_encoder import RandomEncoder
from xlir_bench.errors import InputError

INFO = ModelInfo(id="toy", name="toy", fingerprint="ab" * 32)


class Toy:
    """Vectors of (code points, first code point, length of the language's code); remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def encode(self, texts, *, role, languages):
        self.calls.append((list(texts), role, list(languages)))
        return np.array(
            [[len(t), ord(t[0]) if t else 0, len(code)] for t, code in zip(texts, languages, strict=True)], float
        ).reshape(len(texts), 3)


class Returns:
    def __init__(self, value):
        self.value = value

    def encode(self, texts, *, role, languages):
        return self.value(texts) if callable(self.value) else self.value


def texts_of(*texts, languages=None):
    return Texts([f"t{row}" for row in range(len(texts))], texts, languages or ["en"] * len(texts))


pairs = st.lists(
    st.tuples(st.text(max_size=6) | st.sampled_from(["", "a", "aa", "ab"]), st.sampled_from(["en", "de", "zh"])),
    max_size=40,
)


@given(pairs, st.integers(1, 7))
def test_encoding_in_blocks_equals_encoding_one_by_one(pairs, block):
    texts = texts_of(*[text for text, _ in pairs], languages=[code for _, code in pairs])
    before, encode_module.BLOCK = encode_module.BLOCK, block
    try:
        toy = Toy()
        encoded = encode_texts(toy, INFO, texts, "query")
    finally:
        encode_module.BLOCK = before
    for row, (text, code) in enumerate(pairs):
        assert np.array_equal(encoded.vectors[row], Toy().encode([text], role="query", languages=[code])[0])
    assert encoded.vectors.dtype == np.float32
    assert len(encoded.vectors) == len(pairs)
    assert (encoded.encoded, encoded.from_cache) == (len(set(pairs)), 0)
    asked = [pair for call in toy.calls for pair in zip(call[0], call[2], strict=True)]
    assert sorted(asked) == sorted(set(pairs))  # each once
    assert all(len(call[0]) <= block for call in toy.calls)


def test_the_encoder_sees_the_longest_texts_first():
    toy = Toy()
    encode_texts(toy, INFO, texts_of("aa", "a", "aaaa", "aaa"), "document")
    assert toy.calls == [(["aaaa", "aaa", "aa", "a"], "document", ["en"] * 4)]


def test_a_text_in_two_languages_is_encoded_for_each():
    toy = Toy()
    vectors = encode_texts(toy, INFO, texts_of("same", "same", languages=["en", "xyz"]), "query").vectors
    assert vectors[:, 2].tolist() == [2, 3]


def test_an_encoder_that_ignores_languages_gives_equal_texts_equal_vectors():
    vectors = encode_texts(RandomEncoder(), INFO, texts_of("same", "same", languages=["en", "de"]), "query").vectors
    assert np.array_equal(vectors[0], vectors[1])


def test_equal_texts_of_several_languages_tie_exactly_where_only_rounding_parts_them(minilm):
    from xlir_bench.encoders import resolve

    model = resolve(str(minilm), "cpu")
    noise = [f"another sentence, number {row}" for row in range(37)]
    texts = texts_of("in 1842", *noise, "in 1842", "in 1842", languages=["en"] * 38 + ["de", "ar"])
    vectors = encode_texts(model.retriever, model.info, texts, "document").vectors
    assert np.array_equal(vectors[0], vectors[-1])
    assert np.array_equal(vectors[0], vectors[-2])

    class Rounds(Toy):
        def encode(self, texts, *, role, languages):
            steps = {"en": 1.0, "de": 1.0 + 1e-6, "ar": 1.1}
            return np.array([[steps[code], 0.0] for code in languages])

    vectors = encode_texts(Rounds(), INFO, texts_of("x", "x", "x", languages=["en", "de", "ar"]), "query").vectors
    assert vectors[:, 0].tolist() == [1.0, 1.0, np.float32(1.1)]


def test_progress_counts_every_text_once(monkeypatch):
    seen = []

    class Spy:
        def stage(self, name, total, unit):
            seen.append((name, total, unit))
            return self

        def advance(self, steps=1):
            seen.append(steps)

    monkeypatch.setattr(encode_module, "BLOCK", 2)
    encode_texts(Toy(), INFO, texts_of("a", "bb", "a", "ccc", "a"), "query", progress=Spy())
    assert seen[0] == ("encoding queries", 5, "texts")
    assert sum(seen[1:]) == 5


@pytest.mark.parametrize("kind", ["list", "float16", "float64", "torch", "bfloat16", "list of tensors", "tuples"])
def test_whatever_holds_a_matrix_is_taken(kind):
    import torch

    rows = [[1.0, 2.0], [0.5, -4.0]]
    value = {
        "list": rows,
        "float16": np.array(rows, np.float16),
        "float64": np.array(rows),
        "torch": torch.tensor(rows, requires_grad=True),
        "bfloat16": torch.tensor(rows, dtype=torch.bfloat16),
        "list of tensors": [torch.tensor(row, dtype=torch.bfloat16) for row in rows],
        "tuples": tuple(map(tuple, rows)),
    }[kind]
    vectors = encode_texts(Returns(value), INFO, texts_of("aa", "b"), "query").vectors
    assert vectors.dtype == np.float32
    assert vectors.tolist() == rows


def nan_in_second(texts):
    vectors = np.ones((len(texts), 4))
    vectors[1, 2] = np.nan
    return vectors


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nan_in_second, 'encoder toy returned NaN for query "the second text" (id t0)'),
        (
            lambda texts: np.full((len(texts), 2), 1e300),
            'encoder toy returned infinity for query "the first and longest',
        ),
        (
            np.ones((3, 4)),
            'returned an array of shape (3, 4) for 2 texts beginning with query "the first and longest text"',
        ),
        (np.ones(2), "returned an array of shape (2,) for 2 texts"),
        (np.ones((2, 0)), "returned an array of shape (2, 0) for 2 texts"),
        (None, "returned NoneType that is not a matrix of numbers for 2 texts"),
        ([[1.0], [1.0, 2.0]], "returned list that is not a matrix of numbers for 2 texts"),
        (["a", "b"], "returned list that is not a matrix of numbers"),
        ({"vectors": 1}, "returned dict that is not a matrix of numbers"),
    ],
)
def test_a_bad_return_value_is_one_line_that_names_encoder_and_text(value, message):
    with pytest.raises(InputError) as raised:
        encode_texts(Returns(value), INFO, texts_of("the second text", "the first and longest text"), "query")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_width_that_changes_between_blocks_is_an_error(monkeypatch):
    monkeypatch.setattr(encode_module, "BLOCK", 1)
    with pytest.raises(InputError, match=r'returned 1 dimensions for document "b" .* and 3 for earlier texts'):
        encode_texts(Returns(lambda texts: np.ones((1, len(texts[0])))), INFO, texts_of("aaa", "b"), "document")


def test_the_cache_gives_back_what_was_stored(tmp_path):
    cache = VectorCache(tmp_path)
    first = encode_texts(Toy(), INFO, texts_of("a", "bb", "a"), "query", cache=cache)
    toy = Toy()
    second = encode_texts(toy, INFO, texts_of("ccc", "a", "bb", "bb"), "query", cache=cache)
    assert (first.encoded, first.from_cache) == (2, 0)
    assert (second.encoded, second.from_cache) == (1, 2)
    assert [call[0] for call in toy.calls] == [["ccc"]]
    assert np.array_equal(second.vectors[[1, 2, 3]], first.vectors[[0, 1, 1]])


def test_roles_languages_and_fingerprints_do_not_share_vectors(tmp_path):
    cache = VectorCache(tmp_path)
    encode_texts(Toy(), INFO, texts_of("a"), "query", cache=cache)
    other = ModelInfo(id="toy", name="toy", fingerprint="cd" * 32)
    assert encode_texts(Toy(), INFO, texts_of("a"), "document", cache=cache).from_cache == 0
    assert encode_texts(Toy(), INFO, texts_of("a", languages=["de"]), "query", cache=cache).from_cache == 0
    assert encode_texts(Toy(), other, texts_of("a"), "query", cache=cache).from_cache == 0
    assert encode_texts(Toy(), INFO, texts_of("a"), "query", cache=cache).from_cache == 1


def test_a_model_without_a_fingerprint_is_not_stored(tmp_path):
    encode_texts(Toy(), ModelInfo("toy", "toy", ""), texts_of("a"), "query", cache=VectorCache(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_cut_off_loses_one_block(tmp_path, monkeypatch):
    monkeypatch.setattr(encode_module, "BLOCK", 2)

    class Stops(Toy):
        def encode(self, texts, *, role, languages):
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().encode(texts, role=role, languages=languages)

    cache = VectorCache(tmp_path)
    texts = texts_of(*(letter * 3 for letter in "abcdefgh"))
    with pytest.raises(KeyboardInterrupt):
        encode_texts(Stops(), INFO, texts, "query", cache=cache)
    resumed = encode_texts(Toy(), INFO, texts, "query", cache=cache)
    assert (resumed.encoded, resumed.from_cache) == (4, 4)


def test_stored_vectors_of_another_width_are_replaced(tmp_path, caplog):
    cache = VectorCache(tmp_path)
    encode_texts(Returns(np.ones((1, 5))), INFO, texts_of("a"), "query", cache=cache)
    toy = Toy()
    again = encode_texts(toy, INFO, texts_of("a", "b"), "query", cache=cache)
    assert again.vectors.shape == (2, 3)
    assert sorted(text for call in toy.calls for text in call[0]) == ["a", "b"]  # each once
    assert "another number of dimensions than the 3 that it returns" in caplog.text
    final = encode_texts(Toy(), INFO, texts_of("a", "b"), "query", cache=cache)
    assert (final.encoded, final.from_cache) == (0, 2)
    np.testing.assert_array_equal(final.vectors, again.vectors)


def test_an_encoder_that_returns_another_width_again_after_stored_ones_were_discarded_is_named(tmp_path):
    cache = VectorCache(tmp_path)
    encode_texts(Returns(np.ones((1, 5))), INFO, texts_of("a"), "query", cache=cache)
    widths = iter([3, 4])
    changing = Returns(lambda texts: np.ones((len(texts), next(widths))))
    with pytest.raises(InputError, match=r'returned 4 dimensions for query "a" .* and 3 for other texts'):
        encode_texts(changing, INFO, texts_of("a", "b"), "query", cache=cache)


def test_a_cache_that_cannot_be_written_warns_once_and_the_run_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(encode_module, "BLOCK", 1)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        encoded = encode_texts(Toy(), INFO, texts_of("a", "bb"), "query", cache=VectorCache(blocked))
    assert encoded.vectors[:, 0].tolist() == [1, 2]
    assert len(caplog.records) == 1
    assert "vectors are not stored" in caplog.text
