"""Alignment of a suite's texts under whole encoders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from made_data import QUESTIONS

from xlir_bench.alignment import aligned_texts, report
from xlir_bench.cli.main import cli
from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import Model, ModelInfo, resolve
from xlir_bench.errors import InputError
from xlir_bench.suites import load

CODES = ("de", "en", "th")


class Meaning:
    """The number in a text as a direction, turned by its language: aligned up to a rotation."""

    def __init__(self, turn: bool = False, constant: bool = False) -> None:
        self.turn, self.constant = turn, constant

    def encode(self, texts, *, role, languages):
        vectors = []
        for text, code in zip(texts, languages, strict=True):
            number = 0 if self.constant else int(text.split()[-1])
            vector = np.random.default_rng(number).standard_normal(16)
            if self.turn:
                seed = CODES.index(code)
                vector = np.linalg.qr(np.random.default_rng(seed).standard_normal((16, 16)))[0] @ vector
            vectors.append(vector)
        return np.array(vectors, dtype=np.float32)


def model(retriever) -> Model:
    return Model(ModelInfo("meaning", "meaning", "2" * 64), retriever)


@pytest.fixture
def collection() -> Collection:
    """40 questions in three languages; questions 38 and 39 share their answer, and th lacks question 0."""
    queries = [(c, n) for c in CODES for n in range(40) if (c, n) != ("th", 0)]
    documents = [(c, n) for c in CODES for n in range(39)]
    at = {pair: place for place, pair in enumerate(documents)}
    return Collection(
        Texts([f"{c}:q{n}" for c, n in queries], [f"question {n}" for _, n in queries], [c for c, _ in queries]),
        Texts([f"{c}:{n}" for c, n in documents], [f"answer {n}" for _, n in documents], [c for c, _ in documents]),
        Judgements.of((q, at[code, min(n, 38)], 1.0) for q, (_, n) in enumerate(queries) for code in CODES),
        [f"q{n}" for _, n in queries],
    )


def test_questions_are_aligned_by_name_where_every_language_has_them(collection):
    texts = aligned_texts(collection, "query")
    assert texts.count == 39
    for row in zip(*texts.rows.values(), strict=True):
        assert len({texts.texts.texts[place] for place in row}) == 1
        assert [texts.texts.languages[place] for place in row] == list(CODES)


def test_a_document_that_answers_several_questions_is_there_once(collection):
    texts = aligned_texts(collection, "document")
    assert texts.count == 39
    for places in texts.rows.values():
        assert len(set(places.tolist())) == 39


def test_equal_meanings_have_cka_one_and_distance_zero_and_a_baseline_of_about_zero(collection):
    found = report([model(Meaning())], aligned_texts(collection, "document"), "mine")
    assert found.cka == pytest.approx(1)
    assert found.baseline == pytest.approx(0, abs=0.1)
    assert all(pair.alignment == pytest.approx(0, abs=1e-6) for pair in found.pairs)
    assert [(pair.a, pair.b) for pair in found.pairs] == [("de", "en"), ("de", "th"), ("en", "th")]


def test_a_rotation_per_language_keeps_cka_and_not_the_distance(collection):
    found = report([model(Meaning(turn=True))], aligned_texts(collection, "document"), "mine")
    assert found.cka == pytest.approx(1)
    assert min(pair.alignment for pair in found.pairs) > 1


def test_two_encoders_are_laid_side_by_side(collection):
    texts = aligned_texts(collection, "document")
    found = report([model(Meaning()), model(Meaning(turn=True))], texts, "mine")
    assert [entry.language for entry in found.between] == list(CODES)
    assert all(entry.cka == pytest.approx(1) for entry in found.between)


def test_constant_vectors_are_undefined_and_never_nan(collection):
    found = report([model(Meaning(constant=True))], aligned_texts(collection, "document"), "mine")
    assert found.cka is None
    assert found.baseline is None
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_lexical_model_and_one_language_and_layers_of_what_has_none_are_refused(collection):
    with pytest.raises(InputError, match="bm25 has no vectors"):
        report([resolve("bm25")], aligned_texts(collection, "document"), "mine")
    with pytest.raises(InputError, match="two languages"):
        aligned_texts(collection.select(["de"]), "query")
    with pytest.raises(InputError, match="no layers"):
        report([model(Meaning())], aligned_texts(collection, "document"), "mine", layers=True)


def test_layers_are_means_of_the_hidden_states_of_each_text_alone(minilm, collection):
    import torch

    from xlir_bench.alignment.layers import layer_vectors

    encoder = resolve(str(minilm), "cpu").retriever
    texts = ["A river.", "Die lange Brücke über den breiten Fluss.", "One two three four five six."]
    layers = layer_vectors("minilm", encoder, texts, ["en", "de", "en"], "document")
    inner = encoder.model[0].auto_model
    assert len(layers) == inner.config.num_hidden_layers + 1
    for row, text in enumerate(texts):
        tokens = encoder.model.tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            states = inner(**tokens, output_hidden_states=True).hidden_states
        for layer, state in zip(layers, states, strict=True):
            np.testing.assert_allclose(layer[row], state[0].mean(0).numpy(), atol=1e-5)


def test_the_command_reports_real_vectors():
    arguments = ["align", "xlir-hybrid-static", "random", "--suite", "xlir-mini"]
    done = CliRunner().invoke(cli, [*arguments, "--languages", "de,en", "--device", "cpu", "--json"])
    content = json.loads(done.stdout)
    assert content["cka"] > 0.2
    assert abs(content["baseline"]) < 0.05
    assert all(abs(entry["cka"]) < 0.05 for entry in content["between"])
    assert [space["language"] for space in content["spaces"]] == ["de", "en", "*"]


def test_questions_of_a_parallel_suite_are_aligned_in_all_languages(parallel_suite):
    texts = aligned_texts(load(parallel_suite, languages=["de", "th"]), "query")
    assert texts.count == QUESTIONS
