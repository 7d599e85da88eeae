"""The score of a pair of vectors, as a function of the two alone.

A matrix product in float32 gives the same pair other last bits in another shape, on another processor, with another
number of threads. The score is therefore defined as the dot product in float64 in a fixed order, rounded to float32
(`dot.pair_score`), and a matrix product only says which pairs need not be looked at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Integers
from xlir_bench.encoders.protocol import Similarity, Vectors

_UNIT = 2.0**-24
_SMALLEST = float(np.finfo(np.float32).tiny)

Scores = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint64]


def scaled(vectors: npt.NDArray[np.floating], similarity: Similarity) -> tuple[Vectors, float]:
    """Vectors as scores take them, and the greatest length among them.

    Each row is a function of that row alone. A vector of zeros has no direction: its cosine with everything is 0.

    Args:
        vectors: float32 or float16, (texts, dimensions).
        similarity: with cosine they get length 1.

    Returns:
        float32, (texts, dimensions); the length of the longest.
    """
    from xlir_bench.retrieval.dot import scale_rows

    # What came through shared memory is read-only, for which the kernel would be compiled a second time.
    source = np.require(vectors, np.float32, ["C", "W"])
    result = np.empty_like(source)
    return result, scale_rows(source, similarity == "cosine", result)


def scores_of(queries: Vectors, documents: Vectors, query: Integers, document: Integers) -> Scores:
    """Scores of the pairs (query[n], document[n]) of scaled vectors; (pairs,)."""
    from xlir_bench.retrieval.dot import score_pairs

    scores = np.empty(len(query), np.float32)
    score_pairs(queries, documents, query, document, scores)
    return scores


def product_error(
    terms: npt.NDArray[np.int64], lengths: npt.NDArray[np.float64], longest: float
) -> npt.NDArray[np.float64]:
    """How far a float32 matrix product may be from the score, whatever order it sums in, fused or not.

    |product - x'y| <= n u / (1 - n u) |x||y| with u = 2^-24 (Higham 2002, Accuracy and Stability of Numerical
    Algorithms, section 3.1), and one rounding more for the score itself. Numbers too small for float32 may be lost.

    Args:
        terms: n, numbers of each query that are not 0: adding 0 rounds nothing; (queries,).
        lengths: of the queries; (queries,).
        longest: the length of the longest document.

    Returns:
        A bound for each query; (queries,).
    """
    relative = terms * _UNIT / (1 - terms * _UNIT) + 2 * _UNIT
    # Vectors of length 1 are so only up to rounding.
    return relative * lengths * (longest * (1 + 4 * _UNIT)) + (terms + 1) * _SMALLEST


def occupied(vectors: Vectors) -> Bits:
    """A bit for each number that is not 0; (texts, words)."""
    bits = np.packbits(vectors != 0, axis=1)
    padded = np.zeros((len(vectors), -(-bits.shape[1] // 8) * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return padded.view(np.uint64)
