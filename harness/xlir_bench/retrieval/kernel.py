"""The inner loops of counting, compiled. Imported only when ranks are counted: numba takes a second to load.

A block of products comes from a matrix product whose last bits depend on its shape (distances follow from it, see
`retrieval.pairs`). Here it only sorts out what is
plainly above or below a judged document; every pair that is nearer than the product's error is scored by
`dot.pair_score`, whose order of summation is fixed. So no count depends on how queries and documents were cut into
blocks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xlir_bench.retrieval.blocks import (
    CHUNK,
    EUCLIDEAN,
    MANHATTAN,
    Documents,
    Found,
    Judged,
    LeftOut,
    Queries,
    Room,
    Scores,
    Tally,
)
from xlir_bench.retrieval.dot import bare, compiled, pair_score
from xlir_bench.retrieval.leaders import lead

_NOTHING = np.float32(-np.inf)


@compiled
def count_documents(
    queries: Queries, documents: Documents, left_out: LeftOut, judged: Judged, found: Found, width: int
) -> tuple[int, int]:
    """Add to what is known of some queries what some documents are to them, products and all.

    All of it is one call, so that it never waits for Python's lock while another thread encodes.

    Args:
        queries: with vectors.
        documents: with vectors.
        left_out: pairs that do not count.
        judged: the judged documents of the queries.
        found: is added to.
        width: documents at a time, whose products stay in the cache of a core until they are counted.

    Returns:
        Places of a query and a document whose product is not a finite number, upon which what was counted is
        meaningless; (-1, -1) where there is none.
    """
    count = queries.vectors.shape[0]
    for begin in range(0, documents.vectors.shape[0], width):
        part = Documents(
            documents.vectors[begin : begin + width],
            documents.bits[:, begin : begin + width],
            documents.squares[begin : begin + width],
            documents.greater_ids[begin : begin + width],
            documents.place[begin : begin + width],
            documents.row[begin : begin + width],
        )
        size = part.vectors.shape[0]
        products = found.room.products[: count * size].reshape((count, size))
        if queries.kind == MANHATTAN:
            _score_pairs(products, queries, part)
        else:
            np.dot(queries.vectors, part.vectors.T, products)
            if queries.kind == EUCLIDEAN:
                _to_distances(products, queries, part)
        for n in range(left_out.query.shape[0]):
            if begin <= left_out.document[n] < begin + size:
                products[left_out.query[n], left_out.document[n] - begin] = _NOTHING
        q, d = count_products(products, queries, part, judged, found)
        if q >= 0:
            return q, begin + d
    return -1, -1


@bare
def _score_pairs(products: Scores, queries: Queries, documents: Documents) -> None:
    """Fill `products` with the scores themselves."""
    for q in range(products.shape[0]):
        for d in range(products.shape[1]):
            products[q, d] = _finite(pair_score(queries.vectors, q, documents.vectors, d, queries.kind))


@bare
def _to_distances(products: Scores, queries: Queries, documents: Documents) -> None:
    """Replace dot products by negated Euclidean distances, as near as float32 gives them."""
    zero, two = np.float32(0.0), np.float32(2.0)
    for q in range(products.shape[0]):
        row = products[q]
        length = queries.squares[q]
        beyond = 0
        for d in range(row.shape[0]):
            square = length + documents.squares[d] - two * row[d]
            beyond += not square < np.inf
            row[d] = -np.sqrt(square if square > zero else zero)
        if beyond:
            # A square is beyond float32, or two of them cancel to no number; the distance itself need not be.
            for d in range(row.shape[0]):
                row[d] = _finite(pair_score(queries.vectors, q, documents.vectors, d, queries.kind))


@bare
def _finite(score: np.float32) -> np.float32:
    """The score, or what is no number for one that float32 cannot hold: minus infinity stands for what is left out."""
    return score if score > _NOTHING else np.float32(np.nan)


@bare
def count_products(
    products: Scores, queries: Queries, documents: Documents, judged: Judged, found: Found
) -> tuple[int, int]:
    """As `count_documents`, of products that are there already: minus infinity for a pair that is left out.

    Products that are nearer to a judged document than their error are replaced by scores.
    """
    for q in range(products.shape[0]):
        row = products[q]
        unusable = 0
        for i in range(row.shape[0]):
            unusable += not row[i] < np.inf
        if unusable:
            return q, _first_unusable(row)
        for begin in range(0, row.shape[0], CHUNK):
            chunk = row[begin : begin + CHUNK]
            count = _count_chunk(chunk, q, judged, found)
            if count:
                near = found.room.near[:count]
                _settle(chunk, (queries, q), (documents, begin), (judged, near), found.room)
                for j in near:
                    _compare(chunk, documents.greater_ids[begin : begin + CHUNK], j, judged, found.tally)
    if found.leaders.shape[1]:
        lead(products, queries, documents, found)
    return -1, -1


@bare
def _first_unusable(row: Scores) -> int:
    at = 0
    while row[at] < np.inf:
        at += 1
    return at


@bare
def _count_chunk(chunk: Scores, q: int, judged: Judged, found: Found) -> int:
    """Count a chunk for the judgements of a query that it has no product near; notes the others, gives their number."""
    tally, near = found.tally, found.room.near
    count = above = not_below = 0
    for j in range(judged.starts[q], judged.starts[q + 1]):
        if j == judged.starts[q] or judged.own[j] != judged.own[j - 1]:
            low, high = judged.low[j], judged.high[j]
            above = 0
            not_below = 0
            for i in range(chunk.shape[0]):
                above += chunk[i] >= high
                not_below += chunk[i] >= low
        if above == not_below:
            tally.outranked[j] += above
            tally.ahead[j] += above
        else:
            near[count] = j
            count += 1
    return count


@bare
def _settle(
    chunk: Scores,
    query: tuple[Queries, int],
    document: tuple[Documents, int],
    judgements: tuple[Judged, npt.NDArray[np.int64]],
    room: Room,
) -> None:
    """Replace the products of a chunk that are near one of the judgements by scores."""
    if not query[0].vectors.shape[0] or query[0].kind == MANHATTAN:
        return  # they are the scores
    judged, near = judgements
    room.marks[:] = False
    for n in range(near.shape[0]):
        low, high = judged.low[near[n]], judged.high[near[n]]
        if n == 0 or judged.own[near[n]] != judged.own[near[n - 1]]:
            for i in range(chunk.shape[0]):
                room.marks[i] |= (chunk[i] >= low) & (chunk[i] < high)
    _score(chunk, query, document, room)


@bare
def _score(chunk: Scores, query: tuple[Queries, int], document: tuple[Documents, int], room: Room) -> None:
    """Replace the products of a chunk that are marked by scores.

    Args:
        chunk: products of a query with the documents from some place on.
        query: the queries and the place of this one.
        document: the documents and the place of the first of these.
        room: the marks, and memory.
    """
    (queries, q), (documents, begin) = query, document
    words = queries.bits.shape[1]
    if words:
        # Two vectors that share no number have a product of 0, which is exact.
        shared = room.shared[: chunk.shape[0]]
        shared[:] = 0
        for word in range(words):
            own, theirs = queries.bits[q, word], documents.bits[word, begin : begin + chunk.shape[0]]
            for i in range(chunk.shape[0]):
                shared[i] |= own & theirs[i]
        for i in range(chunk.shape[0]):
            apart = shared[i] == 0
            chunk[i] = np.float32(0.0) if room.marks[i] & apart else chunk[i]  # it may have been -0.0
            room.marks[i] &= not apart
    count = 0
    for i in range(chunk.shape[0]):
        room.columns[count] = i
        count += room.marks[i]
    for i in room.columns[:count]:
        chunk[i] = pair_score(queries.vectors, q, documents.vectors, begin + i, queries.kind)


@bare
def _compare(chunk: Scores, greater_ids: npt.NDArray[np.int32], j: int, judged: Judged, tally: Tally) -> None:
    """Count a chunk that has no product left in the band of judgement j."""
    own, place = judged.own[j], judged.greater_ids[j]
    greater = 0
    level = 0
    before = 0
    for i in range(chunk.shape[0]):
        greater += chunk[i] > own
        level += chunk[i] == own
        # Of equal scores the greater id comes first; it has no more judged ids that are not below it.
        before += (chunk[i] == own) & (greater_ids[i] <= place)
    tally.ahead[j] += greater
    tally.level[j] += level
    tally.outranked[j] += greater + before
