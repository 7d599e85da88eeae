"""What the cache holds, float16 in it, and room in it."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from xlir_bench.collection import Texts
from xlir_bench.encoders import ModelInfo, VectorCache, encode_texts
from xlir_bench.encoders.contents import prune, stored_models
from xlir_bench.encoders.random_encoder import RandomEncoder
from xlir_bench.errors import InputError

TEXTS = Texts(["0", "1", "2"], ["a", "b", "a"], ["en"] * 3)
ONE = ModelInfo("org/one", "org__one-abcdabcd", "ab" * 32, revision="c" * 40)
TWO = ModelInfo("two", "two", "cd" * 32)


class Scaled(RandomEncoder):
    def encode(self, texts, *, role, languages):
        return super().encode(texts, role=role, languages=languages) * 1e5


@pytest.fixture
def cache(tmp_path):
    cache = VectorCache(tmp_path)
    for info in (ONE, TWO):
        for role in ("query", "document"):
            encode_texts(RandomEncoder(), info, TEXTS, role, cache=cache)
    return cache


def test_models_are_listed_with_what_they_are_called_and_how_much_they_hold(cache):
    found = {model.id: model for model in stored_models(cache)}
    assert set(found) == {"org/one", "two"}
    assert found["org/one"].revision == "c" * 40
    assert found["org/one"].vectors == 4
    files = [path for path in (cache.folder / "vectors" / ONE.fingerprint).rglob("*") if path.is_file()]
    assert found["org/one"].bytes == sum(path.stat().st_size for path in files) > 4 * 64 * 4


@pytest.mark.parametrize("wanted", ["org/one", "org__one-abcdabcd", "abababab"])
def test_a_model_is_pruned_by_id_name_or_fingerprint_and_encoded_anew(cache, wanted):
    assert [model.id for model in prune(cache, [wanted])] == ["org/one"]
    assert [model.id for model in stored_models(cache)] == ["two"]
    assert encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=cache).encoded == 2
    assert encode_texts(RandomEncoder(), TWO, TEXTS, "query", cache=cache).encoded == 0


def test_pruning_by_age_goes_by_the_last_use(cache):
    for path in (cache.folder / "vectors").rglob("*"):
        os.utime(path, (time.time() - 10 * 86400,) * 2)
    encode_texts(RandomEncoder(), TWO, TEXTS, "query", cache=cache)
    assert [model.id for model in prune(cache, unused_days=9)] == ["org/one"]


def test_an_unknown_model_is_an_error_and_nothing_goes(cache):
    with pytest.raises(InputError, match=r"no model 'three'; see `xlir-bench cache info`"):
        prune(cache, ["two", "three"])
    assert len(stored_models(cache)) == 2


def test_an_empty_cache_holds_nothing(tmp_path):
    assert stored_models(VectorCache(tmp_path / "nowhere")) == []


def test_float16_halves_the_numbers_and_every_run_sees_the_same(tmp_path):
    half = VectorCache(tmp_path, "float16")
    first = encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=half)
    second = encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=half)
    full = encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=VectorCache(tmp_path))
    assert (first.encoded, second.encoded, full.encoded) == (2, 0, 2)
    assert first.vectors.dtype == np.float32
    np.testing.assert_array_equal(first.vectors, second.vectors)
    np.testing.assert_array_equal(first.vectors, full.vectors.astype(np.float16).astype(np.float32))
    sizes = {path.parent.name: path.stat().st_size for path in tmp_path.rglob("*.vectors")}
    assert sizes["query"] - sizes["query-float16"] == 2 * 64 * 2


def test_a_number_that_float16_cannot_hold_is_an_error(tmp_path):
    with pytest.raises(InputError, match="beyond 65,504"):
        encode_texts(Scaled(), ONE, TEXTS, "query", cache=VectorCache(tmp_path, "float16"))
