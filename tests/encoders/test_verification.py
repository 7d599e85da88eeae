"""Before stored vectors of a model that is code are used again, a sample is encoded; what differs is discarded."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import Model, ModelInfo, VectorCache, encode_texts
from xlir_bench.encoders.verification import PER_LANGUAGE, StoredCheck, packed_sample, unpacked_sample
from xlir_bench.engines import Streaming
from xlir_bench.evaluation import evaluate, run
from xlir_bench.suites.schema import declare

CODES = ("de", "en", "sw")
SETTINGS = {"monolingual": ["AP"], "multilingual": ["AP"]}


def collection(questions=40) -> Collection:
    """A question and an answer per language and number, some of them long; queries and documents share words."""
    ids = [(code, number) for code in CODES for number in range(questions)]
    texts = [
        " ".join(f"{code}{(number * 7 + word) % 53}" for word in range(3 + (number * number) % 60))
        for code, number in ids
    ]
    names = [f"{code}:{number}" for code, number in ids]
    languages = [code for code, _ in ids]
    same = [(q, d) for q, (_, a) in enumerate(ids) for d, (_, b) in enumerate(ids) if a == b]
    return Collection(
        Texts(names, [f"{text} asked" for text in texts], languages),
        Texts(names, [f"{text} answered" for text in texts], languages),
        Judgements.of((q, d, 1.0) for q, d in same),
        [str(number) for _, number in ids],
    )


COLLECTION = collection()
SUITE = declare(
    {
        "name": "small", "version": 1, "title": "small", "description": "small", "licence": "none", "citation": "none",
        "languages": list(CODES), "source": {"reader": "lareqa"}, "settings": SETTINGS,
    }
)  # fmt: skip


class Words:
    """Adds up a fixed random vector per word, changed where `changed` says so."""

    def __init__(self, changed=None, noise=0.0):
        self.changed, self.noise, self.encoded = changed, noise, []
        self._generator = np.random.default_rng()

    def encode(self, texts, *, role, languages):
        self.encoded += [(role, text) for text in texts]
        return np.array([self.vector(*one, role) for one in zip(texts, languages, strict=True)], np.float32)

    def vector(self, text, language, role):
        words = text.split()
        parts = [np.random.default_rng(sum(map(ord, word)) * len(word)).normal(size=32) for word in words]
        vector = np.sum(parts, axis=0) + self.noise * self._generator.normal(size=32)
        return np.abs(vector)[::-1] if self.changed is not None and self.changed(text, language, role) else vector


def model(changed=None, noise=0.0, **fields):
    info = ModelInfo("words", "words", "1" * 64, verify_stored=True, **fields)
    return Model(info, Words(changed, noise))


CHANGES = {
    "everything": lambda text, language, role: True,
    "one language": lambda text, language, role: language == "sw",
    "queries": lambda text, language, role: role == "query",
    "documents": lambda text, language, role: role == "document",
    "documents of one language": lambda text, language, role: role == "document" and language == "en",
    "long texts": lambda text, language, role: len(text.split()) > 50,
    "short texts": lambda text, language, role: len(text.split()) < 6,
}


def kept_in(folder, way):
    """Where vectors are kept, and in streaming mode the counts of shards too."""
    cache = VectorCache(folder / "cache")
    return cache if way == "memory" else Streaming(50, str(folder / "kept"), str(folder / "records"), cache=cache)


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("way", ["memory", "streaming"])
def test_stored_vectors_of_a_model_that_changed_are_discarded(tmp_path, caplog, what, way):
    keeping = kept_in(tmp_path / "one", way)
    first = evaluate(model(), SUITE, COLLECTION, cache=keeping)
    again = evaluate(model(), SUITE, COLLECTION, cache=keeping)
    assert not caplog.records  # nothing changed
    assert again.result.timing.texts_encoded == 0
    changed = evaluate(model(CHANGES[what]), SUITE, COLLECTION, cache=keeping)
    assert "gives other vectors than those that were stored of it" in caplog.text
    assert changed.result.timing.texts_encoded == first.result.timing.texts_encoded
    fresh = evaluate(model(CHANGES[what]), SUITE, COLLECTION, cache=kept_in(tmp_path / "other", way))
    assert changed.result.scores == fresh.result.scores != first.result.scores


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("cached", [True, False])
def test_a_finished_result_of_a_model_that_changed_is_measured_again(tmp_path, caplog, what, cached):
    cache = VectorCache(tmp_path / "cache") if cached else None
    assert run(model(), SUITE, COLLECTION, tmp_path / "out", cache=cache).measured_now
    second = model()
    assert not run(second, SUITE, COLLECTION, tmp_path / "out", cache=cache).measured_now
    assert len(second.retriever.encoded) == 2 * len(CODES) * PER_LANGUAGE
    assert not caplog.records
    kept = run(model(CHANGES[what]), SUITE, COLLECTION, tmp_path / "out", cache=cache)
    assert kept.measured_now
    assert "gives other vectors than those that were stored of it" in caplog.text
    right = evaluate(model(CHANGES[what]), SUITE, COLLECTION).result.scores
    assert kept.result.scores == right


def test_a_finished_result_without_a_sample_beside_it_is_measured_again(tmp_path):
    kept = run(model(), SUITE, COLLECTION, tmp_path)
    kept.path.with_suffix(".sample.npz").unlink()
    assert run(model(), SUITE, COLLECTION, tmp_path).measured_now


def test_a_model_that_files_identify_is_not_asked_again(tmp_path):
    plain = Model(replace(model().info, verify_stored=False), Words())
    run(plain, SUITE, COLLECTION, tmp_path)
    again = Model(plain.info, Words())
    assert not run(again, SUITE, COLLECTION, tmp_path).measured_now
    assert again.retriever.encoded == []
    assert not list(tmp_path.rglob("*.sample.npz"))


@pytest.mark.parametrize("way", ["memory", "streaming"])
def test_of_a_model_that_never_repeats_itself_nothing_is_kept(tmp_path, caplog, way):
    keeping = kept_in(tmp_path, way)
    kept = run(model(noise=0.1), SUITE, COLLECTION, tmp_path / "out", cache=keeping)
    assert "gives other vectors when the same texts are encoded again" in caplog.text
    assert not list(tmp_path.rglob("*.vectors"))
    assert not list(tmp_path.rglob("*.half"))
    assert not kept.path.with_suffix(".sample.npz").exists()
    assert run(model(noise=0.1), SUITE, COLLECTION, tmp_path / "out", cache=keeping).measured_now


@pytest.mark.parametrize(("noise", "rounding"), [(1e-6, 1e-4), (1e-3, 2e-2)])
def test_rounding_is_no_change(tmp_path, caplog, noise, rounding):
    cache = VectorCache(tmp_path / "cache")
    for _ in range(2):
        found = evaluate(model(noise=noise, rounding=rounding), SUITE, COLLECTION, cache=cache)
    assert not caplog.records
    assert found.result.timing.texts_encoded == 0


def test_vectors_that_are_stored_as_float16_are_no_change(tmp_path, caplog):
    cache = VectorCache(tmp_path / "cache", "float16")
    for _ in range(2):
        found = evaluate(model(rounding=2e-3), SUITE, COLLECTION, cache=cache)
    assert not caplog.records
    assert found.result.timing.texts_encoded == 0


def test_what_an_interrupted_run_stored_is_compared_too(tmp_path, caplog):
    """The longest texts alone are stored when a run is cut off: a change in them must show."""

    class Interrupted(Words):
        def encode(self, texts, *, role, languages):
            if len(texts) > 20:
                raise KeyboardInterrupt
            return super().encode(texts, role=role, languages=languages)

    cache = VectorCache(tmp_path / "cache")
    documents = COLLECTION.select(["sw"]).documents
    few = Texts(documents.ids[:5], documents.texts[:5], documents.languages[:5])
    encode_texts(model().retriever, model().info, few, "document", cache=cache)
    with pytest.raises(KeyboardInterrupt):
        evaluate(Model(model().info, Interrupted()), SUITE, COLLECTION, cache=cache)
    evaluate(model(CHANGES["one language"]), SUITE, COLLECTION, cache=cache)
    assert "gives other vectors than those that were stored of it" in caplog.text


def test_the_sample_has_every_role_and_language_from_the_longest_text_to_the_shortest():
    asked = model()
    StoredCheck.of(asked, COLLECTION).sample()
    for role, side in (("query", COLLECTION.queries), ("document", COLLECTION.documents)):
        for code in CODES:
            own = [text for text, language in zip(side.texts, side.languages, strict=True) if language == code]
            sampled = [text for at, text in asked.retriever.encoded if at == role and text in own]
            assert len(sampled) == PER_LANGUAGE
            assert {len(max(own, key=len)), len(min(own, key=len))} <= {len(text) for text in sampled}


def test_texts_that_are_paid_for_are_sampled_sparingly(tmp_path):
    class Paid(Words):
        def encode_parts(self, texts, *, role, languages):
            yield np.arange(len(texts)), self.encode(texts, role=role, languages=languages)

    cache = VectorCache(tmp_path / "cache")
    first = Model(model().info, Paid())
    run(first, SUITE, COLLECTION, tmp_path / "out", cache=cache)
    assert max(Counter(first.retriever.encoded).values()) == 1
    again = Model(model().info, Paid())
    assert not run(again, SUITE, COLLECTION, tmp_path / "out", cache=cache).measured_now
    assert len(again.retriever.encoded) == 2 * len(CODES)


def test_a_sample_is_read_back_as_it_was_and_a_damaged_one_is_none():
    sample = StoredCheck.of(model(), COLLECTION).sample()
    content = packed_sample(sample)
    again = unpacked_sample(content)
    for role in ("query", "document"):
        np.testing.assert_array_equal(again.keys[role], sample.keys[role])
        np.testing.assert_array_equal(again.vectors[role], sample.vectors[role])
    assert unpacked_sample(content[: len(content) // 2]) is None
    assert unpacked_sample(b"") is None


@pytest.fixture(autouse=True)
def _warnings(caplog):
    caplog.set_level(logging.WARNING)
