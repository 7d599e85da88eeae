"""A collection that is made in Python is checked like one that was read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xlir_bench.collection import Judgements
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate
from xlir_bench.retrieval import DenseScorer, count_outranked
from xlir_bench.suites import find


def arrays(query, document, gain):
    return Judgements(np.array(query), np.array(document), np.array(gain))


FAULTY = {
    "a pair judged twice": (
        arrays([0, 0], [1, 1], [1.0, 1.0]),
        r"query 'ar:q1' and document 'ar:1' have more than one",
    ),
    "a pair judged twice, apart": (arrays([0, 0, 0], [1, 4, 1], [1.0, 1.0, 2.0]), "more than one judgement"),
    "arrays of different lengths": (arrays([0, 1], [1, 2], [1.0]), r"shapes \(2,\), \(2,\), \(1,\)"),
    "two dimensions": (arrays([[0]], [[1]], [[1.0]]), "shapes"),
    "NaN": (arrays([0, 1], [1, 2], [1.0, np.nan]), "not a finite number"),
    "infinite": (arrays([0, 1], [1, 2], [1.0, np.inf]), "not a finite number"),
    "gains that are texts": (arrays([0], [1], ["1"]), "not a finite number"),
    "positions that are floats": (arrays([0.0], [1.0], [1.0]), "not whole numbers"),
    "another order": (arrays([1, 0], [2, 1], [1.0, 1.0]), "not in the order of their queries"),
    "a query that is not there": (arrays([4], [1], [1.0]), "points to query 4; there are 4"),
    "a document before the first": (arrays([0], [-1], [1.0]), "points to document -1; there are 6"),
    "nothing relevant": (arrays([0], [1], [0.0]), "no query has a relevant document; check the judgements"),
}


class Constant:
    def encode(self, texts, *, role, languages):
        raise AssertionError("nothing may be encoded")


@pytest.mark.parametrize("fault", FAULTY)
def test_judgements_that_break_their_promise_are_refused_wherever_they_enter(two_languages, fault):
    from xlir_bench.encoders import Model, ModelInfo

    judgements, message = FAULTY[fault]
    collection = replace(two_languages, judgements=judgements)
    with pytest.raises(InputError, match=message):
        collection.validate("own")
    with pytest.raises(InputError, match=message):
        evaluate(Model(ModelInfo("c", "c", "c" * 64), Constant()), find("xlir-mini"), collection)
    vectors = np.ones((6, 2), np.float32)
    with pytest.raises(InputError, match=message):
        count_outranked(DenseScorer(vectors[:4], vectors, "cosine"), collection, across_languages=True)


def test_exclusions_and_questions_are_checked_too(two_languages):
    with pytest.raises(InputError, match="more than one exclusion"):
        replace(two_languages, excluded=arrays([0, 0], [1, 1], [0.0, 0.0])).validate("own")
    with pytest.raises(InputError, match="3 questions for 4 queries"):
        replace(two_languages, questions=["q1", "q2", "q1"]).validate("own")
    everything = replace(two_languages, excluded=replace(two_languages.judgements))
    with pytest.raises(InputError, match="every judged relevant document is left out"):
        everything.validate("own")


def test_a_sound_collection_passes(two_languages):
    two_languages.validate("own")
    assert two_languages.judged_pairs == {("ar", "ar"), ("ar", "de"), ("de", "ar"), ("de", "de")}
    assert all(two_languages.has_rows(setting) for setting in ("monolingual", "cross-lingual", "multilingual"))
    assert len(two_languages.unanswered) == 0
