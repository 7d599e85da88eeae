"""The inner loops of counting, compiled. Imported only when ranks are counted: numba takes a second to load.

A block of products comes from a matrix product whose last bits depend on its shape. Here it only sorts out what is
plainly above or below a judged document; every pair that is nearer than the product's error is scored by
`dot.pair_score`, whose order of summation is fixed. So no count depends on how queries and documents were cut into
blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xlir_bench.retrieval.dot import compiled, pair_score

_CHUNK = 512
_STRIDE = 16
_SPARE = 10
_NOTHING = np.float32(-np.inf)

Marks = npt.NDArray[np.bool_]
Columns = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


class Tile(NamedTuple):
    """Products of some queries with some documents of one language.

    Attributes:
        products: near the scores; minus infinity for a document that the ranking leaves out; (queries, documents).
        queries: vectors, (queries, dimensions); none, shape (0, 0), where the products are the scores.
        documents: vectors, (documents, dimensions), or none.
        query_bits, document_bits: a bit for each number that is not 0, for vectors that are mostly 0: two that have
            none in common score 0; (queries, words) and (documents, words), words being 0 for other vectors.
        greater_ids: how many ids of judged documents are greater than the document's or equal to it; (documents,).
        place: place of the document in its shard by descending id; (documents,).
        row: position of the document in the collection; (documents,).
    """

    products: npt.NDArray[np.float32]
    queries: npt.NDArray[np.float32]
    documents: npt.NDArray[np.float32]
    query_bits: npt.NDArray[np.uint64]
    document_bits: npt.NDArray[np.uint64]
    greater_ids: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    row: npt.NDArray[np.int64]


class Judged(NamedTuple):
    """The judged documents of the queries of a tile.

    Attributes:
        starts: the judgements of query q are those from starts[q] to starts[q + 1]; (queries + 1,).
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


class Heaps(NamedTuple):
    """The best documents that each query has met, as binary heaps with the worst on top.

    Attributes:
        score, row, place: as in `Tile`; (queries, depth).
        size: how many there are; (queries,).
    """

    score: npt.NDArray[np.float32]
    row: npt.NDArray[np.int64]
    place: npt.NDArray[np.int32]
    size: npt.NDArray[np.int64]


@compiled
def score_pairs(
    queries: npt.NDArray[np.float32],
    documents: npt.NDArray[np.float32],
    query: npt.NDArray[np.int64],
    document: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32],
) -> None:
    """Fill `scores` with those of the pairs (query[n], document[n]); (pairs,)."""
    for n in range(query.shape[0]):
        scores[n] = pair_score(queries, query[n], documents, document[n])


@compiled
def score_all(
    queries: npt.NDArray[np.float32], documents: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]
) -> None:
    """Fill `scores` with those of all pairs; (queries, documents)."""
    for q in range(queries.shape[0]):
        for d in range(documents.shape[0]):
            scores[q, d] = pair_score(queries, q, documents, d)


@compiled
def scale_rows(vectors: npt.NDArray[np.float32], cosine: bool, scaled: npt.NDArray[np.float32]) -> float:
    """Fill `scaled` with the vectors, of length 1 for a cosine; a vector of zeros stays. Gives the greatest length."""
    greatest = 0.0
    for row in range(vectors.shape[0]):
        total = 0.0
        for i in range(vectors.shape[1]):
            total += np.float64(vectors[row, i]) * np.float64(vectors[row, i])
        length = np.sqrt(total)
        divisor = length if cosine and length > 0 else 1.0
        for i in range(vectors.shape[1]):
            scaled[row, i] = np.float32(vectors[row, i] / divisor)
        greatest = max(greatest, length / divisor)
    return greatest


@compiled
def count_tile(tile: Tile, judged: Judged, tally: Tally) -> bool:
    """Add to the counts what this tile's documents are to each judged document.

    Products that are nearer to a judged document than their error are replaced by scores.

    Returns:
        Whether every product is a finite number or minus infinity (an excluded document); else counts are meaningless.
    """
    products = tile.products
    most = 0
    for q in range(products.shape[0]):
        most = max(most, judged.starts[q + 1] - judged.starts[q])
    near = np.empty(most, np.int64)
    room = _room()
    for q in range(products.shape[0]):
        row = products[q]
        unusable = 0
        for i in range(row.shape[0]):
            unusable += not row[i] < np.inf
        if unusable:
            return False
        for begin in range(0, row.shape[0], _CHUNK):
            chunk = row[begin : begin + _CHUNK]
            count = 0
            for j in range(judged.starts[q], judged.starts[q + 1]):
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
            if count:
                _settle(tile, (q, begin), judged, near[:count], room)
                for n in range(count):
                    _compare(chunk, tile.greater_ids[begin : begin + _CHUNK], near[n], judged, tally)
    return True


@compiled
def _settle(
    tile: Tile, at: tuple[int, int], judged: Judged, near: npt.NDArray[np.int64], room: tuple[Marks, Columns, Scores]
) -> None:
    """Replace the products of a chunk that are near one of the judgements by scores; `room` is overwritten."""
    q, begin = at
    marks, columns, scores = room
    chunk = tile.products[q, begin : begin + _CHUNK]
    marks[:] = False
    for j in near:
        low, high = judged.low[j], judged.high[j]
        for i in range(chunk.shape[0]):
            marks[i] |= (chunk[i] >= low) & (chunk[i] < high)
    count = 0
    for i in range(chunk.shape[0]):
        columns[count] = begin + i
        count += marks[i]
    _score(tile, q, columns[:count], scores)
    for n in range(count):
        tile.products[q, columns[n]] = scores[n]


@compiled
def _score(tile: Tile, q: int, columns: Columns, scores: Scores) -> None:
    """Fill the first of `scores` with those of a query and documents at some columns of a tile."""
    products, queries, documents = tile.products, tile.queries, tile.documents
    query_bits, document_bits = tile.query_bits, tile.document_bits
    given = queries.shape[0] == 0
    words = query_bits.shape[1]
    for n in range(columns.shape[0]):
        d = columns[n]
        common = np.uint64(words == 0)
        for word in range(words):
            common |= query_bits[q, word] & document_bits[d, word]
        if given:
            scores[n] = products[q, d]
        elif common != np.uint64(0):
            scores[n] = pair_score(queries, q, documents, d)
        else:
            scores[n] = np.float32(0.0)


@compiled
def _room() -> tuple[Marks, Columns, Scores]:
    return np.empty(_CHUNK, np.bool_), np.empty(_CHUNK, np.int64), np.empty(_CHUNK, np.float32)


@compiled
def _compare(
    chunk: npt.NDArray[np.float32], greater_ids: npt.NDArray[np.int32], j: int, judged: Judged, tally: Tally
) -> None:
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


@compiled
def lead_tile(tile: Tile, error: npt.NDArray[np.float64], heaps: Heaps) -> None:
    """Offer this tile's documents to the heaps of its queries; `error` bounds that of the products, (queries,)."""
    products = tile.products
    depth = heaps.score.shape[1]
    best = np.empty(depth // _STRIDE + _SPARE, np.float32)
    _, columns, scores = _room()
    worst, worst_place, size = heaps.score, heaps.place, heaps.size
    for q in range(products.shape[0]):
        row = products[q]
        full = heaps.size[q] == depth
        least = _below(heaps.score[q, 0], error[q]) if full else _guess(row, best, depth, error[q])
        for begin in range(0, row.shape[0], _CHUNK):
            chunk = row[begin : begin + _CHUNK]
            candidates = 0
            for i in range(chunk.shape[0]):
                candidates += chunk[i] >= least
            if not candidates:
                continue
            count = 0
            for i in range(chunk.shape[0]):
                columns[count] = begin + i
                count += (chunk[i] >= least) & (chunk[i] > _NOTHING)
            _score(tile, q, columns[:count], scores)
            for n in range(count):
                place = tile.place[columns[n]]
                if size[q] < depth or _is_worse(worst[q, 0], worst_place[q, 0], scores[n], place):
                    _insert(heaps, q, scores[n], place, tile.row[columns[n]])
            if heaps.size[q] == depth:
                least = max(least, _below(heaps.score[q, 0], error[q]))


@compiled
def _below(score: np.float32, error: float) -> np.float32:
    """A float32 that no product of a score not below `score` is below."""
    return np.nextafter(np.float32(np.float64(score) - error), np.float32(-np.inf))


@compiled
def _guess(row: npt.NDArray[np.float32], best: npt.NDArray[np.float32], depth: int, error: float) -> np.float32:
    """A product that all of the first `depth` documents of the row reach: guessed from every 16th, then checked."""
    if row.shape[0] // _STRIDE <= best.shape[0]:
        return _NOTHING
    best[:] = -np.inf
    for i in range(0, row.shape[0], _STRIDE):
        if row[i] > best[-1]:
            at = best.shape[0] - 1
            while at > 0 and best[at - 1] < row[i]:
                best[at] = best[at - 1]
                at -= 1
            best[at] = row[i]
    enough = 0
    for i in range(row.shape[0]):
        enough += row[i] >= best[-1]
    return _below(best[-1], 2 * error) if enough >= depth else _NOTHING


@compiled
def _insert(heaps: Heaps, q: int, score: np.float32, place: np.int32, row: np.int64) -> None:
    """Put a document into the heap of query q, in place of the worst where it is full."""
    scores, places, rows = heaps.score[q], heaps.place[q], heaps.row[q]
    depth = scores.shape[0]
    at = heaps.size[q]
    if at < depth:
        heaps.size[q] += 1
        while at > 0 and _is_worse(score, place, scores[(at - 1) // 2], places[(at - 1) // 2]):
            parent = (at - 1) // 2
            scores[at], places[at], rows[at] = scores[parent], places[parent], rows[parent]
            at = parent
    else:
        at = 0
        while 2 * at + 1 < depth:
            child = 2 * at + 1
            if child + 1 < depth and _is_worse(scores[child + 1], places[child + 1], scores[child], places[child]):
                child += 1
            if not _is_worse(scores[child], places[child], score, place):
                break
            scores[at], places[at], rows[at] = scores[child], places[child], rows[child]
            at = child
    scores[at], places[at], rows[at] = score, place, row


@compiled
def _is_worse(score: np.float32, place: np.int32, than: np.float32, than_place: np.int32) -> bool:
    return bool(score < than or (score == than and place > than_place))
