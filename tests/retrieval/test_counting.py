"""Ranks by counting against rankings that are sorted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import GivenScores, ranking

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.errors import InputError
from xlir_bench.retrieval import DenseScorer, RankTable, count_outranked

CODES = ("ar", "de", "en")


@st.composite
def collections(draw) -> tuple[Collection, np.ndarray]:
    """A collection of any shape with scores that tie often; graded, unjudged, excluded and unanswered all occur."""
    documents = draw(st.integers(1, 12))
    queries = draw(st.integers(1, 5))
    document_languages = draw(st.lists(st.sampled_from(CODES), min_size=documents, max_size=documents))
    query_languages = draw(st.lists(st.sampled_from(CODES), min_size=queries, max_size=queries))
    document_ids = draw(st.permutations([f"d{n}" for n in range(documents)]))
    pairs = st.tuples(st.integers(0, queries - 1), st.integers(0, documents - 1))
    judged = draw(st.dictionaries(pairs, st.integers(0, 3), max_size=20))
    judged[draw(pairs)] = 1
    excluded = draw(st.sets(pairs, max_size=3)) - {pair for pair, gain in judged.items() if gain > 0}
    values = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.5000001, 1.0])
    scores = draw(st.lists(values, min_size=queries * documents, max_size=queries * documents))
    collection = Collection(
        Texts([f"q{n}" for n in range(queries)], ["?"] * queries, query_languages),
        Texts(document_ids, ["."] * documents, document_languages),
        Judgements.of((q, d, float(gain)) for (q, d), gain in judged.items()),
        [f"q{n}" for n in range(queries)],
        Judgements.of((q, d, 0.0) for q, d in excluded),
    )
    return collection, np.array(scores, dtype=np.float32).reshape(queries, documents)


def ranks_of(table: RankTable, setting) -> dict[tuple[str, str, str, str], int]:
    """(query id, document id, row) -> rank, from a table's rows."""
    found = {}
    for row in table.rows(setting):
        for number, ranks in zip(row.queries, row.judged.ranks, strict=True):
            for rank in ranks[np.isfinite(ranks)]:
                key = (int(number), row.query_language, row.document_language)
                found.setdefault(key, []).append(int(rank))
    return found


@settings(max_examples=300, deadline=None)
@given(collections(), st.integers(1, 200))
def test_every_rank_equals_the_place_in_a_sorted_ranking(given_collection, budget):
    collection, scores = given_collection
    table = count_outranked(GivenScores(scores), collection, across_languages=True, budget=budget)
    expected_in_language, expected_in_pool = {}, {}
    j = collection.judgements
    for q, d, gain in zip(j.query.tolist(), j.document.tolist(), j.gain.tolist(), strict=True):
        if gain > 0:
            own = collection.documents.languages[d]
            expected_in_language[q, collection.documents.ids[d]] = ranking(collection, scores, q, {own}).index(d) + 1
            expected_in_pool[q, collection.documents.ids[d]] = ranking(collection, scores, q, set(CODES)).index(d) + 1
    keys = list(zip(table.query.tolist(), table.document_id, strict=True))
    assert dict(zip(keys, table.rank_in_language.tolist(), strict=True)) == expected_in_language
    assert dict(zip(keys, table.rank_in_pool.tolist(), strict=True)) == expected_in_pool


@settings(max_examples=100, deadline=None)
@given(collections())
def test_a_tie_is_reported_where_another_document_of_the_pool_has_the_same_score(given_collection):
    collection, scores = given_collection
    table = count_outranked(GivenScores(scores), collection, across_languages=True)
    id_at = {name: d for d, name in enumerate(collection.documents.ids)}
    for query, document_id, tied in zip(table.query, table.document_id, table.tied, strict=True):
        pool = ranking(collection, scores, int(query), set(CODES))
        own = scores[query, id_at[document_id]]
        assert tied == (sum(scores[query, d] == own for d in pool) > 1)


@settings(max_examples=100, deadline=None)
@given(collections())
def test_searching_only_ones_own_language_gives_the_same_monolingual_rows(given_collection):
    collection, scores = given_collection
    everything = count_outranked(GivenScores(scores), collection, across_languages=True)
    own_only = count_outranked(GivenScores(scores), collection, across_languages=False)
    assert ranks_of(own_only, "monolingual") == ranks_of(everything, "monolingual")
    if set(collection.languages) != set(own_only.languages) or len(set(CODES) & set(own_only.languages)) > 1:
        assert ranks_of(own_only, "cross-lingual") == {}


def test_settings_pair_queries_with_the_right_pools(two_languages):
    scores = np.random.default_rng(0).random((4, 6))
    table = count_outranked(GivenScores(scores), two_languages, across_languages=True)

    def rows(setting):
        return [(r.query_language, r.document_language, len(r.queries), r.documents) for r in table.rows(setting)]

    assert rows("monolingual") == [("ar", "ar", 2, 3), ("de", "de", 2, 3)]
    assert rows("cross-lingual") == [("ar", "de", 2, 3), ("de", "ar", 2, 3)]
    assert rows("multilingual") == [("ar", "*", 2, 6), ("de", "*", 2, 6)]


def test_a_query_without_a_relevant_document_in_a_pool_takes_no_part_in_its_row(two_languages):
    j = two_languages.judgements
    kept = ~((j.query == 1) & (j.document == 5))
    partly = Collection(
        two_languages.queries,
        two_languages.documents,
        Judgements(j.query[kept], j.document[kept], j.gain[kept]),
        two_languages.questions,
    )
    scores = np.random.default_rng(1).random((4, 6))
    table = count_outranked(GivenScores(scores), partly, across_languages=True)
    assert [len(row.queries) for row in table.rows("cross-lingual")] == [1, 2]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_refused_by_name(two_languages, bad):
    scores = np.zeros((4, 6))
    scores[2, 4] = bad
    with pytest.raises(InputError, match="score of query 'de:q1' and document 'de:1'"):
        count_outranked(GivenScores(scores), two_languages, across_languages=True)


def test_a_scorer_that_gives_another_shape_is_refused(two_languages):
    class Short(GivenScores):
        def over(self, documents):
            return lambda queries: np.zeros((len(queries), 2), dtype=np.float32)

    with pytest.raises(InputError, match=r"shape \(4, 2\).*expected \(4, 6\)"):
        count_outranked(Short(None), two_languages, across_languages=True)


def test_equal_vectors_tie_exactly_wherever_they_stand():
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((101, 37)).astype(np.float32)
    vectors[[3, 40, 77, 100]] = vectors[12]
    scorer = DenseScorer(rng.standard_normal((23, 37)).astype(np.float32), vectors, "cosine")
    scores = scorer.over(np.arange(101))(np.arange(23))
    for copy in (3, 40, 77, 100):
        assert (scores[:, copy] == scores[:, 12]).all()


def test_cosine_ignores_length_and_a_zero_vector_scores_zero():
    queries = np.array([[2.0, 0.0]], dtype=np.float32)
    documents = np.array([[5.0, 0.0], [0.0, 0.0], [-3.0, 0.0]], dtype=np.float32)
    everything = np.arange(3)
    cosine = DenseScorer(queries, documents, "cosine").over(everything)(np.arange(1))
    dot = DenseScorer(queries, documents, "dot").over(everything)(np.arange(1))
    assert cosine.tolist() == [[1.0, 0.0, -1.0]]
    assert dot.tolist() == [[10.0, 0.0, -6.0]]
