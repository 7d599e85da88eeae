"""What identifies vectors, and what identifies a model: every setting that changes one changes its fingerprint."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlir_bench.encoders import LanguageSupport, ModelInfo, identity, resolve
from xlir_bench.encoders.checkpoint import Options
from xlir_bench.encoders.identity import VectorFields, digest_of, identified

INFO = ModelInfo("some model", "model-{fingerprint}", "", prompts={"query": "q: ", "document": "d: "})
FIELDS = VectorFields(
    "transformers",
    "0" * 64,
    {"pooling": "mean", "max_length": 128, "precision": "float32", "truncate_dim": None},
    LanguageSupport(frozenset({"en", "de"}), fallback="en"),
)

CHANGES_VECTORS = {
    "adapter": (INFO, replace(FIELDS, adapter="xlm")),
    "weights": (INFO, replace(FIELDS, content="1" * 64)),
    "pooling": (INFO, replace(FIELDS, settings={**FIELDS.settings, "pooling": "cls"})),
    "length": (INFO, replace(FIELDS, settings={**FIELDS.settings, "max_length": 64})),
    "precision": (INFO, replace(FIELDS, settings={**FIELDS.settings, "precision": "bfloat16"})),
    "truncation": (INFO, replace(FIELDS, settings={**FIELDS.settings, "truncate_dim": 64})),
    "languages": (INFO, replace(FIELDS, language_support=LanguageSupport(frozenset({"en"}), fallback="en"))),
    "unknown languages": (INFO, replace(FIELDS, language_support=LanguageSupport(unknown=frozenset({"th"})))),
    "fallback": (INFO, replace(FIELDS, language_support=LanguageSupport(frozenset({"en", "de"}), fallback="de"))),
    "stored type": (INFO, replace(FIELDS, stored_as="float16")),
    "query prompt": (replace(INFO, prompts={"query": "", "document": "d: "}), FIELDS),
    "prompts exchanged": (replace(INFO, prompts={"query": "d: ", "document": "q: "}), FIELDS),
}


@pytest.mark.parametrize("change", CHANGES_VECTORS)
def test_what_changes_vectors_changes_both_fingerprints(change):
    plain, other = identified(INFO, FIELDS), identified(*CHANGES_VECTORS[change])
    assert other.vector_key != plain.vector_key
    assert other.fingerprint != plain.fingerprint


def test_the_similarity_changes_the_model_and_not_its_vectors():
    found = [identified(replace(INFO, similarity=name), FIELDS) for name in ("cosine", "dot", "euclidean", "manhattan")]
    assert len({info.fingerprint for info in found}) == len({info.name for info in found}) == 4
    assert len({info.vector_key for info in found}) == 1


def test_another_version_of_an_adapter_is_another_model(monkeypatch):
    plain = identified(INFO, FIELDS)
    monkeypatch.setattr(identity, "ADAPTER_VERSIONS", {"transformers": 2})
    assert identified(INFO, FIELDS).vector_key != plain.vector_key


def test_what_is_only_said_of_a_model_does_not_identify_it():
    other = replace(INFO, id="another id", revision="1", details={"licence": "MIT"})
    assert identified(other, FIELDS).fingerprint == identified(INFO, FIELDS).fingerprint


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_different_parts_never_share_a_digest(one, other):
    assert (digest_of(*one) == digest_of(*other)) == (one == other) if _encodable(one + other) else True


def _encodable(texts: list[str]) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for text in texts for sign in text)


@pytest.mark.parametrize("model", ["random", "random:3"])
def test_rounding_where_vectors_are_stored_makes_another_model(model):
    plain, stored = resolve(model).info, resolve(model, options=Options(stored_as="float16")).info
    assert stored.name == f"{plain.name}-float16"
    assert stored.vector_key != plain.vector_key
    assert stored.rounding > plain.rounding
