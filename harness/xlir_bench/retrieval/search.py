"""What is asked of a corpus, apart from the corpus: queries, judged documents and their scores, what is left out.

A `Search` is what a worker needs beside its shard of documents. It is small, and plain arrays: it goes through pickle.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Collection, Integers, Judgements
from xlir_bench.encoders.protocol import Similarity, Vectors
from xlir_bench.retrieval.blocks import DOT
from xlir_bench.retrieval.pairs import KIND_OF, occupied, scaled, scores_of

DEPTH = 100
"""Documents at the top of each ranking that are kept by name, for the measures of what language the top is in."""


class Heads(NamedTuple):
    """What a search keeps beside the ranks of relevant documents.

    Attributes:
        depth: documents at the top of each ranking that are kept by name; 0 keeps none.
        by_language: a ranking for each language of documents, from which that of all of them follows; else one of all
            documents that a query searches.
        judged: whether documents that are judged not relevant have their ranks counted too.
    """

    depth: int
    by_language: bool = False
    judged: bool = False


@dataclass(frozen=True)
class Part:
    """The queries that search documents of one language, with their judgements.

    Attributes:
        query: places in `Wanted.queries`, ascending; (queries,).
        judgement: places in the judgements of `Wanted`; (judgements,).
        starts: the judgements of query q are `judgement[starts[q] : starts[q + 1]]`; (queries + 1,).
    """

    query: Integers
    judgement: Integers
    starts: Integers

    def judged(self, block: slice) -> Integers:
        """The judgements of some of the queries."""
        return self.judgement[self.starts[block.start] : self.starts[block.stop]]


@dataclass(frozen=True)
class Wanted:
    """The judgements that count, and who searches: everything about a search that needs no vector.

    Attributes:
        queries: positions of the queries that search, ascending; (queries,).
        query_ids, query_languages: the id and the code of each; (queries,).
        query: place in `queries` of each judgement's query, ascending; (judgements,).
        document: position of its document in the collection; (judgements,).
        gain: above 0 where only relevant documents are asked for; (judgements,).
        greater_ids: how many ids of judged documents are greater than its document's; (judgements,).
        judged_ids: the ids of all judged documents, each once, ascending.
        languages: of the documents, in code order: the columns of the counts.
        excluded_query, excluded_document: pairs that a ranking leaves out: place in `queries`, position; (pairs,).
        across_languages: every query searches all documents; else only those of its own language.
        judged_too: whether documents that are judged not relevant are among the judgements.
    """

    queries: Integers
    query_ids: tuple[str, ...]
    query_languages: tuple[str, ...]
    query: Integers
    document: Integers
    gain: npt.NDArray[np.float64]
    greater_ids: npt.NDArray[np.int32]
    judged_ids: tuple[str, ...]
    languages: tuple[str, ...]
    excluded_query: Integers
    excluded_document: Integers
    across_languages: bool
    judged_too: bool = False
    _parts: dict[str, Part] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(collection: Collection, *, across_languages: bool, judged: bool = False) -> Wanted:
        """What a collection asks. A query that has no such document in what it searches does not search.

        Args:
            collection: what is searched.
            across_languages: see `Wanted`.
            judged: all judged documents have their ranks counted; else the relevant ones.
        """
        collection.validate_judgements("the collection")
        counts = ~collection.left_out if judged else collection.relevant
        judgements = collection.judgements
        asked = Judgements(judgements.query[counts], judgements.document[counts], judgements.gain[counts])
        sides = collection.queries.languages, collection.documents.languages
        if not across_languages:
            pairs = zip(asked.query.tolist(), asked.document.tolist(), strict=True)
            own = np.array([sides[0][q] == sides[1][d] for q, d in pairs], dtype=bool)
            asked = Judgements(asked.query[own], asked.document[own], asked.gain[own])
        queries, query = np.unique(asked.query, return_inverse=True)
        documents, document = np.unique(asked.document, return_inverse=True)
        ids = [collection.documents.ids[row] for row in documents.tolist()]
        ascending = sorted(ids)
        place = np.array([bisect_left(ascending, name) for name in ids], dtype=np.int32)
        excluded = collection.excluded
        searching = np.isin(excluded.query, queries)
        return Wanted(
            queries,
            tuple(collection.queries.ids[row] for row in queries.tolist()),
            tuple(sides[0][row] for row in queries.tolist()),
            query,
            asked.document,
            asked.gain,
            len(ids) - 1 - place[document],
            tuple(ascending),
            tuple(collection.documents.sizes),
            np.searchsorted(queries, excluded.query[searching]),
            excluded.document[searching],
            across_languages,
            judged,
        )

    def __len__(self) -> int:
        return len(self.query)

    @property
    def judged(self) -> Integers:
        """Positions of the judged documents, each once, ascending."""
        return np.unique(self.document)

    def key(self, language: str) -> str:
        """What the languages whose documents the same queries search have in common."""
        return "" if self.across_languages else language

    def part(self, language: str) -> Part:
        """Who searches the documents of a language."""
        key = self.key(language)
        if key not in self._parts:
            codes = np.array(self.query_languages, dtype=object)
            query = np.arange(len(codes)) if not key else np.flatnonzero(codes == key)
            judgement = np.flatnonzero(np.isin(self.query, query))
            starts = np.searchsorted(self.query[judgement], np.append(query, len(codes)))
            self._parts[key] = Part(query, judgement, starts)
        return self._parts[key]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_parts": {}}


@dataclass(frozen=True)
class Side:
    """Vectors of queries as counting takes them.

    Attributes:
        vectors: scaled; (queries, dimensions).
        bits: see `pairs.occupied`, words being 0 where most numbers are not 0; (queries, words).
        lengths: of the vectors; (queries,).
        terms: how many numbers of each are not 0; (queries,).
    """

    vectors: Vectors
    bits: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.float64]
    terms: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Search:
    """`Wanted` with vectors: all that counting a shard of documents needs beside the shard.

    Attributes:
        wanted: who searches, and what is judged.
        vectors: of `wanted.queries`, of length 1 where the similarity is cosine; (queries, dimensions).
        own: the score of each judged document, by `dot.pair_score`; (judgements,).
        similarity: how a query's and a document's vectors are compared.
        heads: what is kept of the tops of rankings.
    """

    wanted: Wanted
    vectors: Vectors
    own: npt.NDArray[np.float32]
    similarity: Similarity
    heads: Heads
    _sides: dict[str, Side] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(wanted: Wanted, queries: Vectors, judged: Vectors, similarity: Similarity, heads: Heads) -> Search:
        """Score the judged documents, from their vectors alone.

        Args:
            wanted: who searches, and what is judged.
            queries: vectors of `wanted.queries` as encoded; (queries, dimensions).
            judged: vectors of `wanted.judged` as encoded; (documents, dimensions).
            similarity: how a query's and a document's vectors are compared.
            heads: what is to be kept of the tops of rankings.
        """
        vectors, _ = scaled(queries, similarity)
        documents, _ = scaled(judged, similarity)
        pairs = wanted.query, np.searchsorted(wanted.judged, wanted.document)
        own = scores_of(vectors, documents, *pairs, similarity)
        return Search(wanted, vectors, own, similarity, heads)

    def side(self, language: str) -> Side:
        """The vectors of the queries of `Wanted.part(language)`."""
        key = self.wanted.key(language)
        if key not in self._sides:
            query = self.wanted.part(language).query
            # The whole is a view; a part of the queries is a copy, made once for all shards.
            vectors = self.vectors if len(query) == len(self.vectors) else self.vectors[query]
            vectors = np.require(vectors, requirements=["C", "W"])
            lengths = np.sqrt(np.einsum("qd,qd->q", vectors, vectors, dtype=np.float64))
            terms = np.count_nonzero(vectors, axis=1)
            # Only a product is known to be 0 where two vectors have no number in common.
            products = KIND_OF[self.similarity] == DOT
            mostly_zero = products and 2 * terms.sum() <= vectors.size
            bits = occupied(vectors) if mostly_zero else np.empty((len(vectors), 0), np.uint64)
            self._sides[key] = Side(vectors, bits, lengths, terms)
        return self._sides[key]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_sides": {}}
