"""What the compiled loops of counting take and give: plain arrays under names."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CHUNK = 512
"""Products of one query that are looked at together: they and what is noted of them stay in the fastest cache."""

DOT, EUCLIDEAN, MANHATTAN = 0, 1, 2
"""How a pair of vectors is scored, as compiled code takes it; the cosine is the dot product of vectors of length 1."""

STRIDE = 16
SPARE = 10

Scores = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint64]


class Queries(NamedTuple):
    """Some queries.

    Attributes:
        vectors: (queries, dimensions); none, shape (0, 0), where the products are the scores.
        bits: one for each number that is not 0, for vectors that are mostly 0: two that have none in common score 0;
            (queries, words), words being 0 for other vectors.
        error: how far products may be from scores, or the squares of both with `EUCLIDEAN`; (queries,).
        squares: squared lengths of the vectors; (queries,).
        kind: how pairs are scored; of no meaning without vectors.
    """

    vectors: npt.NDArray[np.float32]
    bits: npt.NDArray[np.uint64]
    error: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float32]
    kind: int

    @staticmethod
    def without_vectors(count: int) -> Queries:
        """So many queries whose products are the scores."""
        nothing = np.empty((0, 0), np.float32), np.empty((0, 0), np.uint64)
        return Queries(*nothing, np.zeros(count), np.empty(0, np.float32), DOT)


class Documents(NamedTuple):
    """Some documents of one language.

    Attributes:
        vectors: as those of queries; (documents, dimensions).
        bits: as those of queries, but (words, documents).
        squares: squared lengths of the vectors; (documents,).
        greater_ids: how many ids of judged documents are greater than the document's or equal to it; (documents,).
        place: place of the document in its shard by descending id; (documents,).
        row: position of the document in the collection; (documents,).
    """

    vectors: npt.NDArray[np.float32]
    bits: npt.NDArray[np.uint64]
    squares: npt.NDArray[np.float32]
    greater_ids: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    row: npt.NDArray[np.int64]


class LeftOut(NamedTuple):
    """Pairs that a ranking leaves out: places among the queries and among the documents; (pairs,)."""

    query: npt.NDArray[np.int64]
    document: npt.NDArray[np.int64]


class Judged(NamedTuple):
    """The judged documents of some queries.

    Attributes:
        starts: the judgements of query q are those from starts[q] to starts[q + 1], by score; (queries + 1,).
        own: the judged document's score; (judgements,).
        low: a product below it belongs to a lower score; (judgements,).
        high: a product not below it belongs to a greater score; (judgements,).
        greater_ids: how many ids of judged documents are greater than this one's; (judgements,).
    """

    starts: npt.NDArray[np.int64]
    own: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    greater_ids: npt.NDArray[np.int32]


class Tally(NamedTuple):
    """What counting adds to, each of shape (judgements,).

    Attributes:
        outranked: documents that come before the judged one.
        ahead: documents with a greater score.
        level: documents with the same score, itself among them.
    """

    outranked: npt.NDArray[np.int32]
    ahead: npt.NDArray[np.int32]
    level: npt.NDArray[np.int32]


class Room(NamedTuple):
    """Memory that is used again and again by one thread.

    Attributes:
        products: at least as many as those of all queries with `width` documents.
        near: judgements of one query that a chunk has products near; at least as many as a query has.
        marks, columns, shared: of a chunk: which products are meant, their places, the bits in common with the query.
        best: some of the greatest products of a query.
    """

    products: npt.NDArray[np.float32]
    near: npt.NDArray[np.int64]
    marks: npt.NDArray[np.bool_]
    columns: npt.NDArray[np.int64]
    shared: npt.NDArray[np.uint64]
    best: npt.NDArray[np.float32]

    @staticmethod
    def of(products: int, judgements: int, depth: int) -> Room:
        """Room for so many products, judgements of one query, and documents at the top of a ranking."""
        return Room(
            np.empty(products, np.float32),
            np.empty(judgements, np.int64),
            np.empty(CHUNK, np.bool_),
            np.empty(CHUNK, np.int64),
            np.empty(CHUNK, np.uint64),
            np.empty(depth // STRIDE + SPARE, np.float32),
        )


class Found(NamedTuple):
    """What counting adds to, beside the memory that it needs.

    Attributes:
        tally: counts.
        leaders: for each query a heap of the keys (`leaders.key_of`) of the best documents that it has met, the least
            on top. It is full from the beginning, of zeros, which are less than any key; (queries, depth).
        room: memory.
    """

    tally: Tally
    leaders: Keys
    room: Room
