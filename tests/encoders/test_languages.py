"""What a manifest says of languages is enforced before anything is encoded."""

from __future__ import annotations

import pytest

from xlir_bench.encoders import LanguageSupport, Model, ModelInfo
from xlir_bench.encoders.random_encoder import RandomEncoder
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate
from xlir_bench.suites import find


class Watched(RandomEncoder):
    calls = 0

    def encode(self, texts, *, role, languages):
        self.calls += 1
        return super().encode(texts, role=role, languages=languages)


def measured(collection, language_support):
    encoder = Watched()
    suite = find("xquad-r").narrowed(("monolingual",))
    try:
        return evaluate(
            Model(ModelInfo("m", "m", "ab" * 32), encoder, language_support), suite, collection
        ).result, encoder
    except InputError as error:
        return error, encoder


def test_a_language_that_the_model_does_not_know_is_refused_before_the_first_text(two_languages):
    error, encoder = measured(two_languages, LanguageSupport(known=frozenset({"de"})))
    assert "m does not know Arabic (ar): leave it out with --languages" in str(error)
    assert encoder.calls == 0


@pytest.mark.parametrize(
    "language_support", [LanguageSupport(), LanguageSupport(known=frozenset({"de"}), fallback="as-is")]
)
def test_a_declared_fallback_lets_the_run_go_on(two_languages, language_support):
    result, encoder = measured(two_languages, language_support)
    assert encoder.calls == 2
    assert {score.query_language for score in result.scores} == {"ar", "de"}
