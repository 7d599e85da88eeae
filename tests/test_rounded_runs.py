"""Rounded vectors make another model, and the same figures whatever else a run does."""

from __future__ import annotations

import numpy as np
import pytest

from xlir_bench.encoders import Model, ModelInfo, VectorCache
from xlir_bench.encoders.identity import rounded
from xlir_bench.encoders.protocol import LanguageSupport
from xlir_bench.engines import Streaming
from xlir_bench.evaluation import evaluate, run
from xlir_bench.suites import find, load


class CloseVectors:
    """Vectors that float16 moves past one another."""

    def encode(self, texts, *, role, languages):
        rows = [np.random.default_rng(abs(hash_of(text))).normal(1, 1e-4, 16) for text in texts]
        return np.array(rows, np.float32)


def hash_of(text):
    return int.from_bytes(text.encode()[-6:], "little")


PLAIN = Model(ModelInfo("close", "close", "ab" * 32, similarity="dot"), CloseVectors())
HALF = Model(rounded(PLAIN.info, LanguageSupport(), "float16"), CloseVectors())


@pytest.fixture(scope="module")
def measured():
    suite = find("xlir-mini")
    return suite, load(suite, languages=["de", "en"])


def test_a_rounded_run_has_the_same_figures_with_and_without_a_cache_and_streamed(measured, tmp_path):
    suite, collection = measured
    expected = evaluate(HALF, suite, collection).result.scores
    assert expected != evaluate(PLAIN, suite, collection).result.scores
    stored = VectorCache(tmp_path, stored_as="float16")
    for cache in (stored, Streaming(50), Streaming(50, cache=stored)):
        assert evaluate(HALF, suite, collection, cache=cache).result.scores == expected


def test_documents_that_are_kept_rounded_are_those_of_another_model(measured, tmp_path):
    suite, collection = measured
    kept = run(PLAIN, suite, collection, tmp_path / "out", cache=Streaming(50, keep=str(tmp_path / "kept")))
    plain = run(PLAIN, suite, collection, tmp_path / "out")
    assert plain.measured_now
    assert kept.result.model.fingerprint != plain.result.model.fingerprint
    assert plain.result.scores == evaluate(PLAIN, suite, collection).result.scores
