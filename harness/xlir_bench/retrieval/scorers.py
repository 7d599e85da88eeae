"""Blocks of scores, from vectors or from an index. Counting asks for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from xlir_bench.collection import Collection, Integers
from xlir_bench.encoders.protocol import Lexical, Similarity, Vectors
from xlir_bench.errors import InputError, counted
from xlir_bench.external_code import external_code
from xlir_bench.retrieval.pairs import KIND_OF, Scores, scaled


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
    """Vectors, compared pair by pair. Counting takes them as they are and asks for no block.

    Attributes:
        queries: as encoded, (queries, dimensions).
        documents: as encoded, (documents, dimensions).
        similarity: how a query's and a document's vectors are compared.
    """

    def __init__(self, queries: Vectors, documents: Vectors, similarity: Similarity) -> None:
        self.queries, self.documents, self.similarity = queries, documents, similarity

    def over(self, documents: Integers) -> Callable[[Integers], Scores]:
        """See `Scorer.over`. Every score is computed pair by pair, which is exact and slow."""
        from xlir_bench.retrieval.dot import score_all

        pool, _ = scaled(self.documents[documents], self.similarity)

        def scores(queries: Integers) -> Scores:
            chosen, _ = scaled(self.queries[queries], self.similarity)
            block = np.empty((len(queries), len(pool)), np.float32)
            score_all(chosen, pool, KIND_OF[self.similarity], block)
            return block

        return scores


class LexicalScorer:
    """Scores from an index that is built over the pool."""

    def __init__(self, model: Lexical, collection: Collection) -> None:
        self._model, self._collection = model, collection

    def over(self, documents: Integers) -> Callable[[Integers], Scores]:
        """See `Scorer.over`."""
        side, queries_side = self._collection.documents, self._collection.queries
        who = type(self._model).__name__
        with external_code(f"{who}.index failed", f"on {counted(len(documents), 'documents')}", owner=who):
            index = self._model.index([side.texts[d] for d in documents], [side.languages[d] for d in documents])

        def scores(queries: Integers) -> Scores:
            texts = [queries_side.texts[q] for q in queries]
            languages = [queries_side.languages[q] for q in queries]
            with external_code(
                f"{who}.scores failed", f'on {len(queries)} queries beginning with "{texts[0]}"', owner=who
            ):
                block = np.asarray(index.scores(texts, languages))
            if block.shape != (len(queries), len(documents)) or block.dtype.kind not in "fiu":
                raise InputError(
                    f"{who}.scores returned {block.dtype} of shape {block.shape} for queries beginning with "
                    f'"{texts[0]}"; numbers of shape ({len(queries)}, {len(documents)}) were expected'
                )
            return np.ascontiguousarray(block, dtype=np.float32)

        return scores
