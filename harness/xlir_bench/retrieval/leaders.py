"""The best documents that each query has met, compiled: heaps of keys, one number for a score and a place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xlir_bench.retrieval.blocks import CHUNK, EUCLIDEAN, MANHATTAN, STRIDE, Documents, Found, Keys, Queries, Scores
from xlir_bench.retrieval.dot import bare, pair_score
from xlir_bench.retrieval.pairs import ROUNDED

_NOTHING = np.float32(-np.inf)
_SMALLEST = np.finfo(np.float32).min
_PLACES = np.uint64(32)
_ALL = np.uint64(2**32 - 1)
_SIGN = np.uint64(2**31)


@bare
def lead(products: Scores, queries: Queries, documents: Documents, found: Found) -> None:
    """Offer documents to the heaps of some queries."""
    leaders, best = found.leaders, found.room.best
    depth = leaders.shape[1]
    given = not queries.vectors.shape[0] or queries.kind == MANHATTAN
    for q in range(products.shape[0]):
        row, error, heap = products[q], (queries.error[q], queries.kind), leaders[q]
        least = _least(heap[0], error) if heap[0] else _guess(row, best, depth, error)
        for begin in range(0, row.shape[0], CHUNK):
            chunk = row[begin : begin + CHUNK]
            candidates = 0
            for i in range(chunk.shape[0]):
                candidates += chunk[i] >= least
            if not candidates:
                continue
            for i in range(chunk.shape[0]):
                if chunk[i] >= least:
                    d = begin + i
                    key = key_of(chunk[i] if given else _score_of(queries, q, documents, d), documents.place[d])
                    if key > heap[0]:
                        _replace_least(heap, key)
                        if heap[0]:
                            least = max(least, _least(heap[0], error))


@bare
def _score_of(queries: Queries, q: int, documents: Documents, d: int) -> np.float32:
    words = queries.bits.shape[1]
    shared = np.uint64(words == 0)
    for word in range(words):
        shared |= queries.bits[q, word] & documents.bits[word, d]
    return pair_score(queries.vectors, q, documents.vectors, d, queries.kind) if shared else np.float32(0.0)


@bare
def key_of(score: np.float32, place: np.int32) -> np.uint64:
    """A number that is greater for a document that comes earlier: by score, then by id, both descending.

    Args:
        score: finite.
        place: of the document in its shard, by descending id.
    """
    bits = np.uint64(np.float32(score + np.float32(0.0)).view(np.uint32))  # -0.0 is 0.0
    # Of two negative numbers the one with the greater bits is less.
    bits = bits ^ _ALL if bits & _SIGN else bits | _SIGN
    return (bits << _PLACES) | (_ALL - np.uint64(place))


def documents_of(keys: Keys) -> tuple[Scores, npt.NDArray[np.int64]]:
    """Scores and places in the shard that keys are of; minus infinity and -1 for 0, which is no key."""
    bits = (keys >> _PLACES).astype(np.uint32)
    negative = bits & np.uint32(_SIGN) == 0
    scores = np.where(negative, ~bits, bits ^ np.uint32(_SIGN)).view(np.float32)
    places = (_ALL - (keys & _ALL)).astype(np.int64)
    return np.where(keys, scores, _NOTHING), np.where(keys, places, -1)


@bare
def _least(key: np.uint64, error: tuple[float, int]) -> np.float32:
    """A float32 that no product of a score not below that of a key is below.

    Args:
        key: see `key_of`.
        error: of the query's products, and the kind of its scores.
    """
    bits = key >> _PLACES
    bits = bits ^ _SIGN if bits & _SIGN else bits ^ _ALL
    return _below(np.uint32(bits).view(np.float32), error[0], error[1])


@bare
def _below(score: np.float32, error: float, kind: int) -> np.float32:
    wide = np.float64(score)
    # See `pairs.band`.
    low = -np.sqrt(wide * wide * (1 + ROUNDED) + error) if kind == EUCLIDEAN else wide - error
    # Minus infinity is that of a document that is left out.
    return max(np.nextafter(np.float32(low), _NOTHING), _SMALLEST)


@bare
def _guess(
    row: npt.NDArray[np.float32], best: npt.NDArray[np.float32], depth: int, error: tuple[float, int]
) -> np.float32:
    """A product that all of the first `depth` documents of the row reach: guessed from every 16th, then checked."""
    if row.shape[0] // STRIDE <= best.shape[0]:
        return _SMALLEST
    best[:] = -np.inf
    for i in range(0, row.shape[0], STRIDE):
        if row[i] > best[-1]:
            at = best.shape[0] - 1
            while at > 0 and best[at - 1] < row[i]:
                best[at] = best[at - 1]
                at -= 1
            best[at] = row[i]
    enough = 0
    for i in range(row.shape[0]):
        enough += row[i] >= best[-1]
    return _below(best[-1], 2 * error[0], error[1]) if enough >= depth else _SMALLEST


@bare
def _replace_least(heap: Keys, key: np.uint64) -> None:
    """Put a key in place of the one on top."""
    depth = heap.shape[0]
    at = 0
    while 2 * at + 1 < depth:
        child = 2 * at + 1
        if child + 1 < depth and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = key
