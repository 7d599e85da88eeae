"""The first documents of the multilingual rankings, beside rankings that are sorted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import GivenScores, ranking

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.errors import InputError
from xlir_bench.results import load_ranks
from xlir_bench.results.store import _write_leaders, _write_ranks, leaders_path
from xlir_bench.retrieval import Leaders, count_outranked

from test_counting import CODES, collections  # isort: skip


def documents_at(collection, table, places) -> list[int]:
    """The documents at places of the pool: languages one after the other, each in the order of the collection."""
    pool = [d for code in table.languages for d in collection.documents.rows_by_language[code].tolist()]
    return [pool[place] for place in places if place >= 0]


@settings(max_examples=200, deadline=None)
@given(collections(), st.integers(1, 100))
def test_leaders_are_the_head_of_the_sorted_ranking(given_collection, budget):
    collection, scores = given_collection
    table = count_outranked(GivenScores(scores), collection, across_languages=True, budget=budget)
    assert table.leaders.query.tolist() == np.unique(table.query).tolist()
    for query, places in zip(table.leaders.query, table.leaders.place, strict=True):
        expected = ranking(collection, scores, int(query), set(CODES))
        assert documents_at(collection, table, places) == expected[: table.leaders.depth]


@pytest.mark.parametrize("share_of_zeros", [0.0, 0.5, 0.995, 1.0])
def test_leaders_of_a_large_pool_with_many_ties_are_those_of_a_full_sort(share_of_zeros):
    rng = np.random.default_rng(1)
    size, queries = 5000, 40
    codes = np.sort(rng.choice(["ar", "de"], size))
    collection = Collection(
        Texts([f"q{n}" for n in range(queries)], ["?"] * queries, ["ar"] * queries),
        Texts([f"d{n:05d}" for n in rng.permutation(size)], ["."] * size, codes.tolist()),
        Judgements.of((q, q, 1.0) for q in range(queries)),
        [f"q{n}" for n in range(queries)],
    )
    scores = rng.random((queries, size)).astype(np.float32) - 0.5
    zeros = rng.random(scores.shape) < share_of_zeros
    scores[zeros] = rng.choice(np.array([0.0, -0.0], dtype=np.float32), int(zeros.sum()))
    table = count_outranked(GivenScores(scores), collection, across_languages=True)
    for query, places in zip(table.leaders.query, table.leaders.place, strict=True):
        expected = ranking(collection, scores, int(query), {"ar", "de"})
        assert documents_at(collection, table, places) == expected[:100]


@settings(max_examples=60, deadline=None)
@given(collections())
def test_documents_ahead_are_those_with_a_greater_score(given_collection):
    collection, scores = given_collection
    table = count_outranked(GivenScores(scores), collection, across_languages=True)
    id_at = {name: d for d, name in enumerate(collection.documents.ids)}
    for query, document_id, ahead in zip(table.query, table.document_id, table.ahead, strict=True):
        pool = ranking(collection, scores, int(query), set(CODES))
        assert ahead == sum(scores[query, d] > scores[query, id_at[document_id]] for d in pool)


def test_a_search_of_ones_own_language_has_no_leaders(two_languages):
    table = count_outranked(GivenScores(np.zeros((4, 6))), two_languages, across_languages=False)
    assert table.leaders is None


def test_leaders_lie_beside_the_ranks_and_are_refused_if_they_are_anothers(two_languages, tmp_path):
    table = count_outranked(GivenScores(np.random.default_rng(0).random((4, 6))), two_languages, across_languages=True)
    path = tmp_path / "suite.parquet"
    _write_ranks(table, path)
    assert load_ranks(path).leaders is None
    _write_leaders(table.leaders, leaders_path(path))
    stored = load_ranks(path)
    assert (stored.leaders.place == table.leaders.place).all()
    assert (stored.ahead == table.ahead).all()
    _write_leaders(Leaders(table.leaders.query[1:], table.leaders.place[1:]), leaders_path(path))
    with pytest.raises(InputError, match="other queries"):
        load_ranks(path)
