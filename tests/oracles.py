"""Independent ways to the same figures, written for clarity and without the package's arrays."""

from __future__ import annotations

import numpy as np

from xlir_bench.collection import Collection


class GivenScores:
    """A scorer whose scores are typed in, shape (queries, documents)."""

    def __init__(self, scores):
        self.scores = np.asarray(scores, dtype=np.float32)

    def over(self, documents):
        return lambda queries: self.scores[np.ix_(queries, documents)]


def ranking(collection: Collection, scores: np.ndarray, query: int, languages: set[str]) -> list[int]:
    """The documents in `languages` as trec_eval orders them: score descending, then id descending."""
    excluded = {
        int(d) for q, d in zip(collection.excluded.query, collection.excluded.document, strict=True) if q == query
    }
    pool = [
        d
        for d in range(len(collection.documents))
        if collection.documents.languages[d] in languages and d not in excluded
    ]
    pool.sort(key=lambda d: collection.documents.ids[d], reverse=True)
    return sorted(pool, key=lambda d: -scores[query, d])  # stable: equal scores keep the order of ids


def trec_run(collection: Collection, scores: np.ndarray, queries, documents) -> dict[str, dict[str, float]]:
    """Scores as ir_measures and pytrec_eval take them."""
    ids = collection.documents.ids
    return {collection.queries.ids[q]: {ids[d]: float(scores[q, d]) for d in documents} for q in queries}


def trec_qrels(collection: Collection, queries, documents) -> dict[str, dict[str, int]]:
    """Judgements as ir_measures and pytrec_eval take them."""
    wanted_queries, wanted_documents = set(queries), set(documents)
    qrels: dict[str, dict[str, int]] = {}
    j = collection.judgements
    for q, d, gain in zip(j.query.tolist(), j.document.tolist(), j.gain.tolist(), strict=True):
        if q in wanted_queries and d in wanted_documents:
            qrels.setdefault(collection.queries.ids[q], {})[collection.documents.ids[d]] = int(gain)
    return qrels
