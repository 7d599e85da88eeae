"""Blocks of scores, from vectors or from an index. Counting asks for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Collection, Integers
from xlir_bench.encoders.protocol import Lexical, Similarity, Vectors

Scores = npt.NDArray[np.float32]


class Scorer(Protocol):
    """Scores of a collection's queries against its documents."""

    def over(self, documents: Integers) -> Callable[[Integers], Scores]:
        """Fix a pool: the documents at these positions, in this order.

        Returns:
            A function from positions of queries to their scores, shape (queries, documents), float32, fresh memory that
            the caller may change. Documents that are equal score exactly equally.
        """
        ...


class DenseScorer:
    """Products of query vectors and document vectors."""

    def __init__(self, queries: Vectors, documents: Vectors, similarity: Similarity) -> None:
        """Keep vectors of shape (queries, dimensions) and (documents, dimensions); with cosine, normalised copies.

        A vector of zeros has no direction: its cosine with everything is 0.
        """
        self._queries = _normalised(queries) if similarity == "cosine" else queries
        self._documents = _normalised(documents) if similarity == "cosine" else documents

    def over(self, documents: Integers) -> Callable[[Integers], Scores]:
        """See `Scorer.over`."""
        pool = self._documents[documents]
        later, first = _repeated_rows(pool)

        def scores(queries: Integers) -> Scores:
            block: Scores = self._queries[queries] @ pool.T
            # A matrix product may round one column differently from an equal one: equal texts must tie exactly.
            block[:, later] = block[:, first]
            return block

        return scores


class LexicalScorer:
    """Scores from an index that is built over the pool."""

    def __init__(self, model: Lexical, collection: Collection) -> None:
        self._model, self._collection = model, collection

    def over(self, documents: Integers) -> Callable[[Integers], Scores]:
        """See `Scorer.over`."""
        side, queries_side = self._collection.documents, self._collection.queries
        index = self._model.index([side.texts[d] for d in documents], [side.languages[d] for d in documents])

        def scores(queries: Integers) -> Scores:
            texts = [queries_side.texts[q] for q in queries]
            return index.scores(texts, [queries_side.languages[q] for q in queries])

        return scores


def _normalised(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _repeated_rows(vectors: Vectors) -> tuple[Integers, Integers]:
    """Positions of rows that occurred before, and where each occurred first."""
    contiguous = np.ascontiguousarray(vectors)
    first_at: dict[bytes, int] = {}
    later, first = [], []
    for row, vector in enumerate(contiguous):
        at = first_at.setdefault(vector.tobytes(), row)
        if at != row:
            later.append(row)
            first.append(at)
    return np.array(later, dtype=np.int64), np.array(first, dtype=np.int64)
