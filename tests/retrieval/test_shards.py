"""Counts that do not depend on how a corpus is cut, on how products are computed, or on who adds up."""

from __future__ import annotations

import pickle
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ranking

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.errors import InputError
from xlir_bench.retrieval import Heads, Search, Wanted, count_shard, merge, plan_shards, rank_table, shards, texts_of
from xlir_bench.retrieval.pairs import product_error, scaled, scores_of

CODES = ("ar", "de", "en", "th")


def drawn(seed: int, documents: int, queries: int, copies: float) -> tuple[Collection, np.ndarray, np.ndarray]:
    """A collection with vectors; a share of documents are copies of others or differ from them by a rounding."""
    rng = np.random.default_rng(seed)
    dimensions = int(rng.integers(1, 70))
    of_documents = rng.standard_normal((documents, dimensions)).astype(np.float32)
    copied = np.flatnonzero(rng.random(documents) < copies)
    of_documents[copied] = of_documents[rng.integers(0, documents, len(copied))]
    nudged = copied[rng.random(len(copied)) < 0.5]
    of_documents[nudged] *= np.float32(1 + 2**-23)
    of_queries = rng.standard_normal((queries, dimensions)).astype(np.float32)
    pairs = {(int(q), int(d)) for q in range(queries) for d in rng.integers(0, documents, 3)}
    excluded = {(int(q), int(d)) for q, d in rng.integers(0, (queries, documents), (3, 2))} - pairs
    collection = Collection(
        Texts([f"q{n}" for n in range(queries)], ["?"] * queries, rng.choice(CODES, queries).tolist()),
        Texts([f"d{n}" for n in rng.permutation(documents)], ["."] * documents, rng.choice(CODES, documents).tolist()),
        Judgements.of((q, d, 1.0) for q, d in pairs),
        [f"q{n}" for n in range(queries)],
        Judgements.of((q, d, 0.0) for q, d in excluded),
    )
    return collection, of_queries, of_documents


def counted(drawn_collection, size, *, across=True, depth=5, threads=1, similarity="cosine"):
    """The counts of a collection in shards of `size` documents, added up in order, with what was asked."""
    collection, queries, documents = drawn_collection
    wanted = Wanted.of(collection, across_languages=across)
    search = Search.of(wanted, queries[wanted.queries], documents[wanted.judged], similarity, Heads(depth))
    parts = [
        count_shard(search, shard, texts_of(shard, collection.documents), documents[shard.start : shard.stop], threads)
        for shard in plan_shards(len(collection.documents), size)
    ]
    return wanted, parts


def exact_scores(queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Cosines by numpy's sum in float64: it may differ from a fixed order by far less than half a float32."""
    one, other = (scaled(vectors, "cosine")[0].astype(np.float64) for vectors in (queries, documents))
    return (one @ other.T).astype(np.float32)


def everything(counts) -> list:
    """All that counts say, as bytes and lists that can be compared."""
    best = counts.best
    leaders = [best.score.tobytes(), best.row.tobytes(), best.rows.tobytes(), list(best.ids)] if best else []
    arrays = [counts.outranked, counts.ahead, counts.level]
    return [array.tobytes() for array in arrays] + [counts.documents, *leaders]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 8), st.floats(0, 1), st.booleans())
def test_shards_of_any_size_add_up_to_the_same_counts(seed, documents, queries, copies, across):
    collection = drawn(seed, documents, queries, copies)
    whole = everything(counted(collection, documents, across=across)[1][0])
    for size in (1, 7, 25):
        assert everything(reduce(merge, counted(collection, size, across=across)[1])) == whole


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_shards_may_be_added_up_in_any_order_and_any_tree(seed, draw):
    parts = counted(drawn(seed, 40, 5, 0.7), 3)[1]
    in_order = everything(reduce(merge, parts))
    heap = list(parts)
    while len(heap) > 1:
        one, other = heap.pop(draw.randrange(len(heap))), heap.pop(draw.randrange(len(heap)))
        heap.append(merge(one, other))
    assert everything(heap[0]) == in_order


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_threads_and_block_sizes_do_not_show(monkeypatch, similarity):
    collection = drawn(3, 3000, 150, 0.5)
    expected = everything(counted(collection, 3000, similarity=similarity)[1][0])
    for rows, columns, step, threads in ((1, 1, 64, 4), (7, 13, 100, 2), (33, 1000, 1000, 4), (512, 3000, 3000, 1)):
        monkeypatch.setattr(shards, "_ROWS", rows)
        monkeypatch.setattr(shards, "_LEAST_ROWS", 1)
        monkeypatch.setattr(shards, "_COLUMNS", columns)
        monkeypatch.setattr(shards, "_STEP", step)
        parts = counted(collection, 1000, threads=threads, similarity=similarity)[1]
        assert everything(reduce(merge, parts)) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 6), st.floats(0, 1))
def test_ranks_and_leaders_are_those_of_rankings_sorted_by_scores_in_float64(seed, documents, queries, copies):
    given_collection = drawn(seed, documents, queries, copies)
    collection, of_queries, of_documents = given_collection
    scores = exact_scores(of_queries, of_documents)
    wanted, parts = counted(given_collection, 7)
    counts = reduce(merge, parts)
    table = rank_table(wanted, collection, counts)
    for query, document, rank in zip(wanted.query, wanted.document, table.rank_in_pool, strict=True):
        assert ranking(collection, scores, int(wanted.queries[query]), set(CODES)).index(document) + 1 == rank
    for query, row in zip(wanted.queries, counts.best.row, strict=True):
        assert row[row >= 0].tolist() == ranking(collection, scores, int(query), set(CODES))[:5]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 6), st.floats(0, 1), st.integers(1, 45))
def test_tops_of_rankings_in_each_language_and_in_all_are_those_of_sorted_rankings(
    seed, documents, queries, copies, size
):
    collection, of_queries, of_documents = drawn(seed, documents, queries, copies)
    scores = exact_scores(of_queries, of_documents)
    wanted = Wanted.of(collection, across_languages=True)
    search = Search.of(
        wanted, of_queries[wanted.queries], of_documents[wanted.judged], "cosine", Heads(5, by_language=True)
    )
    parts = [
        count_shard(
            search, shard, texts_of(shard, collection.documents), of_documents[shard.start : shard.stop], threads=1
        )
        for shard in plan_shards(documents, size)
    ]
    table = rank_table(wanted, collection, reduce(merge, parts))
    assert set(table.rankings.pools) == {*table.languages, "*"}
    for pool in table.rankings.pools:
        languages = set(CODES) if pool == "*" else {pool}
        heads = table.rankings.of_pool(pool, wanted.queries, 4)
        for query, head in zip(wanted.queries.tolist(), heads, strict=True):
            expected = ranking(collection, scores, query, languages)[:4]
            assert [name for name, _ in head] == [collection.documents.ids[d] for d in expected]
            assert [score for _, score in head] == [float(scores[query, d]) for d in expected]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 6), st.integers(1, 200))
def test_vectors_that_are_mostly_zero_are_ranked_as_any_others(seed, documents, queries, dimensions):
    """Pairs that share no number score 0 and tie, in their hundreds: a count of words is such a vector."""
    collection, _, _ = drawn(seed, documents, queries, 0.0)
    rng = np.random.default_rng(seed)
    of_queries, of_documents = (
        (rng.integers(-2, 3, (rows, dimensions)) * (rng.random((rows, dimensions)) < 0.1)).astype(np.float32)
        for rows in (queries, documents)
    )
    scores = exact_scores(of_queries, of_documents)
    wanted, parts = counted((collection, of_queries, of_documents), 7)
    table = rank_table(wanted, collection, reduce(merge, parts))
    for query, document, rank in zip(wanted.query, wanted.document, table.rank_in_pool, strict=True):
        assert ranking(collection, scores, int(wanted.queries[query]), set(CODES)).index(document) + 1 == rank
    for query, head in zip(wanted.queries, table.rankings.of_pool("*", wanted.queries, 5), strict=True):
        expected = ranking(collection, scores, int(query), set(CODES))[:5]
        assert [name for name, _ in head] == [collection.documents.ids[d] for d in expected]


def test_products_are_never_further_from_scores_than_the_bound():
    rng = np.random.default_rng(0)
    for dimensions in (1, 3, 64, 384, 1024):
        queries, documents = (
            scaled((rng.standard_normal((200, dimensions)) ** 3).astype(np.float32), "cosine")[0] for _ in range(2)
        )
        at = np.repeat(np.arange(200), 200), np.tile(np.arange(200), 200)
        scores = scores_of(queries, documents, *at).reshape(200, 200)
        off = np.abs((queries @ documents.T).astype(np.float64) - scores.astype(np.float64)).max()
        assert off <= product_error(np.array([dimensions]), np.ones(1), 1.0)[0]


def test_a_pair_has_the_same_score_wherever_its_vectors_lie():
    rng = np.random.default_rng(1)
    queries, documents = (rng.standard_normal((50, 387)).astype(np.float32) for _ in range(2))
    at = np.arange(50)
    scores = scores_of(queries, documents, at, at)
    turned = scores_of(queries[::-1].copy(), documents[::-1].copy(), at, at)[::-1]
    alone = [
        scores_of(queries[n : n + 1], documents[n : n + 1], np.zeros(1, int), np.zeros(1, int))[0] for n in range(50)
    ]
    assert scores.tolist() == turned.tolist() == [float(score) for score in alone]


def test_what_a_worker_is_given_and_gives_goes_through_pickle():
    collection, queries, documents = drawn(5, 30, 4, 0.5)
    wanted = Wanted.of(collection, across_languages=True)
    search = Search.of(wanted, queries[wanted.queries], documents[wanted.judged], "cosine", Heads(5))
    shard = plan_shards(30, 11)[1]
    work = search, shard, texts_of(shard, collection.documents), documents[11:22]
    here = count_shard(*work)
    there = pickle.loads(pickle.dumps(count_shard(*pickle.loads(pickle.dumps(work)))))
    assert everything(there) == everything(here)


def test_counts_of_a_part_are_no_ranks():
    given_collection = drawn(5, 30, 4, 0.5)
    wanted, parts = counted(given_collection, 11)
    with pytest.raises(ValueError, match="11 of 30 documents"):
        rank_table(wanted, given_collection[0], parts[0])


def test_a_score_beyond_float32_is_refused_by_name():
    collection, queries, documents = drawn(5, 30, 4, 0.0)
    documents[17] = np.float32(1e30)
    queries[:] = np.float32(1e20)
    with pytest.raises(InputError, match=f"document '{collection.documents.ids[17]}' is inf"):
        counted((collection, queries, documents), 11, similarity="dot")


def test_a_shard_has_a_document():
    with pytest.raises(InputError, match="shard of 0 documents"):
        plan_shards(10, 0)
