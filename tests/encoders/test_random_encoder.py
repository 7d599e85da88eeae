"""The random encoder: the floor that every other encoder has to be above."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from xlir_bench.encoders import resolve
from xlir_bench.errors import InputError


def vectors(model_id, texts):
    return resolve(model_id).retriever.encode(texts, role="query", languages=["en"] * len(texts))


def test_its_numbers_are_standard_normal_and_independent():
    drawn = vectors("random", [f"text {row}" for row in range(2000)])
    assert drawn.shape == (2000, 64)
    assert drawn.dtype == np.float32
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 0.001
    correlation = np.corrcoef(drawn.T)
    assert abs(correlation - np.eye(64)).max() < 0.12


def test_a_text_has_one_vector_whatever_stands_beside_it():
    together = vectors("random:5", ["a", "b", "a"])
    assert np.array_equal(together[0], together[2])
    assert np.array_equal(together[1], vectors("random:5", ["b"])[0])
    assert not np.array_equal(together[0], together[1])


def test_a_seed_is_another_model():
    assert not np.array_equal(vectors("random:1", ["a"]), vectors("random:2", ["a"]))
    infos = [resolve(model_id).info for model_id in ("random", "random:1", "random:2")]
    assert len({info.fingerprint for info in infos}) == len({info.name for info in infos}) == 3
    assert resolve("random:0").info.fingerprint == infos[0].fingerprint


def test_26_000_texts_take_seconds():
    texts = [f"a text of some length, number {row}" for row in range(26_000)]
    start = time.perf_counter()
    vectors("random", texts)
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("model_id", ["random:x", "random:-1", "random:1.5", "random:²"])
def test_a_seed_that_is_no_number_is_an_error(model_id):
    with pytest.raises(InputError, match="the seed must be a whole number"):
        resolve(model_id)
