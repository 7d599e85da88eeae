"""The four ways of comparing vectors: scores as sentence-transformers defines them, ranks by a naive sort."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ranking
from sentence_transformers.util import cos_sim, dot_score, euclidean_sim, manhattan_sim

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.errors import InputError
from xlir_bench.retrieval import (
    DenseScorer,
    Heads,
    Search,
    Wanted,
    count_outranked,
    count_shard,
    merge,
    plan_shards,
    rank_table,
    texts_of,
)

CODES = ("ar", "de", "en", "th")
SIMILARITIES = {"cosine": cos_sim, "dot": dot_score, "euclidean": euclidean_sim, "manhattan": manhattan_sim}


def naive(queries: np.ndarray, documents: np.ndarray, similarity: str) -> np.ndarray:
    """Scores pair by pair in float64, rounded to float32; (queries, documents)."""
    x, y = queries.astype(np.float64), documents.astype(np.float64)
    if similarity == "cosine":
        x, y = (side / np.where(n := np.linalg.norm(side, axis=1, keepdims=True), n, 1) for side in (x, y))
        x, y = (side.astype(np.float32).astype(np.float64) for side in (x, y))
    if similarity in {"cosine", "dot"}:
        scores = [[(a * b).sum() for b in y] for a in x]
    elif similarity == "euclidean":
        scores = [[-np.sqrt(((a - b) ** 2).sum()) for b in y] for a in x]
    else:
        scores = [[-np.abs(a - b).sum() for b in y] for a in x]
    return np.array(scores).astype(np.float32)


def drawn(seed: int, kind: str) -> tuple[Collection, np.ndarray, np.ndarray]:
    """A collection with vectors; equal documents, and numbers that recur, make ties.

    Args:
        seed: of all that is drawn.
        kind: "grid" has small integers; "far" lies far from the origin, close together; "sizes" has lengths from 1e-3
            to 1e3; "sphere" has length 1.
    """
    rng = np.random.default_rng(seed)
    documents, queries, dimensions = int(rng.integers(2, 90)), int(rng.integers(1, 9)), int(rng.integers(1, 70))

    def vectors(count: int) -> np.ndarray:
        found = rng.standard_normal((count, dimensions))
        if kind == "grid":
            found = rng.integers(-1, 2, (count, dimensions)).astype(np.float64)
        elif kind == "far":
            found = 1000 + found / 1000
        elif kind == "sizes":
            found *= 10.0 ** rng.integers(-3, 4, (count, 1))
        elif kind == "sphere":
            found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found.astype(np.float32)

    of_documents, of_queries = vectors(documents), vectors(queries)
    copies = rng.random(documents) < 0.3
    of_documents[copies] = of_documents[rng.integers(0, documents, copies.sum())]
    nudged = copies & (rng.random(documents) < 0.3)
    of_documents[nudged] *= np.float32(1 + 2**-23)
    same = rng.random(queries) < 0.3
    of_queries[same] = of_documents[rng.integers(0, documents, same.sum())]
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


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ["grid", "far", "sizes", "sphere"])
@given(seed=st.integers(0, 2**32), size=st.integers(1, 40), threads=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_ranks_and_ties_are_those_of_a_naive_sort_however_the_corpus_is_cut(similarity, kind, seed, size, threads):
    collection, queries, documents = drawn(seed, kind)
    scores = naive(queries, documents, similarity)
    wanted = Wanted.of(collection, across_languages=True)
    search = Search.of(wanted, queries[wanted.queries], documents[wanted.judged], similarity, Heads(7))
    parts = [
        count_shard(search, shard, texts_of(shard, collection.documents), documents[shard.start : shard.stop], threads)
        for shard in plan_shards(len(collection.documents), size)
    ]
    table = rank_table(wanted, collection, reduce(merge, parts))
    for at, (query, document) in enumerate(zip(wanted.query, wanted.document, strict=True)):
        row = int(wanted.queries[query])
        order = ranking(collection, scores, row, set(CODES))
        assert order.index(document) + 1 == table.rank_in_pool[at]
        others = [d for d in order if d != document and scores[row, d] == scores[row, document]]
        assert bool(others) == bool(table.tied[at])
    for query, head in zip(wanted.queries.tolist(), table.rankings.of_pool("*", wanted.queries, 7), strict=True):
        order = ranking(collection, scores, query, set(CODES))[:7]
        assert [name for name, _ in head] == [collection.documents.ids[d] for d in order]
        assert [score for _, score in head] == [float(scores[query, d]) for d in order]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("dimensions", [1, 31, 32, 33, 384])
def test_scores_are_those_of_sentence_transformers(similarity, dimensions):
    rng = np.random.default_rng(dimensions)
    queries, documents = (rng.standard_normal((20, dimensions)).astype(np.float32) * 3 for _ in range(2))
    documents[:3] = queries[:3]
    scores = DenseScorer(queries, documents, similarity).over(np.arange(20))(np.arange(20))
    wide = SIMILARITIES[similarity](torch.tensor(queries).double(), torch.tensor(documents).double()).numpy()
    np.testing.assert_allclose(scores, wide, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("similarity", ["euclidean", "manhattan"])
def test_a_distance_that_float32_holds_is_measured_where_its_square_is_beyond_it(similarity):
    documents = np.array([[3e30, 0], [1e30, 0], [2e30, 0], [-1e30, 0]], np.float32)
    collection = _line(4)
    table = count_outranked(
        DenseScorer(np.zeros((1, 2), np.float32), documents, similarity), collection, across_languages=True
    )
    assert table.rank_in_pool.tolist() == [4]
    assert [name for name, _ in next(table.rankings.of_pool("*", np.arange(1), 4))] == ["d3", "d1", "d2", "d0"]


@pytest.mark.parametrize("similarity", ["euclidean", "manhattan"])
def test_a_distance_beyond_float32_is_refused_by_name(similarity):
    documents = np.array([[3e38, 0], [1, 0], [2, 0], [-3e38, 0]], np.float32)
    scorer = DenseScorer(np.array([[-3e38, 0]], np.float32), documents, similarity)
    with pytest.raises(InputError, match="score of query 'q0' and document 'd0' is -inf"):
        count_outranked(scorer, _line(4), across_languages=True)


def _line(documents: int) -> Collection:
    """One query, whose relevant document is the first."""
    return Collection(
        Texts(["q0"], ["?"], ["en"]),
        Texts([f"d{n}" for n in range(documents)], ["."] * documents, ["en"] * documents),
        Judgements.of([(0, 0, 1.0)]),
        ["q0"],
    )
