"""The score of a pair of vectors, as a function of the two alone.

A matrix product in float32 gives the same pair other last bits in another shape, on another processor, with another
number of threads. The score is therefore defined as a sum in float64 in a fixed order, rounded to float32
(`dot.pair_score`), and a matrix product only says which pairs need not be looked at:

- cosine and dot: the product, of vectors of length 1 or of the vectors as they are;
- euclidean: minus the distance |x - y|. From a product follows |x|^2 + |y|^2 - 2 x'y, in which most digits may cancel;
  the bound on its error is that of the squares, and pairs that are nearer to each other are scored by themselves;
- manhattan: minus the sum of |x_i - y_i|, for which there is no product: every pair is scored by itself.

These are the scores of `sentence_transformers.util.similarity`, whose distances are negated as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Integers
from xlir_bench.encoders.protocol import Similarity, Vectors
from xlir_bench.retrieval.blocks import DOT, EUCLIDEAN, MANHATTAN, Documents, Queries

KIND_OF: Mapping[Similarity, int] = {"cosine": DOT, "dot": DOT, "euclidean": EUCLIDEAN, "manhattan": MANHATTAN}
"""How compiled code scores a pair of scaled vectors."""

_LEAST = np.finfo(np.float32).min
_UNIT = 2.0**-24
_SMALLEST = float(np.finfo(np.float32).tiny)
ROUNDED = 64 * _UNIT
"""More than what rounding roots and scores adds to the relative error of a squared distance."""

Scores = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint64]


def scaled(vectors: npt.NDArray[np.floating], similarity: Similarity) -> tuple[Vectors, npt.NDArray[np.float64]]:
    """Vectors as scores take them, and their lengths.

    Each row is a function of that row alone. A vector of zeros has no direction: its cosine with everything is 0.

    Args:
        vectors: float32 or float16, (texts, dimensions).
        similarity: with cosine they get length 1.

    Returns:
        float32, (texts, dimensions); the lengths of these, (texts,).
    """
    from xlir_bench.retrieval.dot import scale_rows

    # What came through shared memory is read-only, for which the kernel would be compiled a second time.
    source = np.require(vectors, np.float32, ["C", "W"])
    result = np.empty_like(source)
    lengths = np.empty(len(source), np.float64)
    scale_rows(source, similarity == "cosine", result, lengths)
    return result, lengths


def scores_of(
    queries: Vectors, documents: Vectors, query: Integers, document: Integers, similarity: Similarity = "dot"
) -> Scores:
    """Scores of the pairs (query[n], document[n]) of scaled vectors; (pairs,)."""
    from xlir_bench.retrieval.dot import score_pairs

    scores = np.empty(len(query), np.float32)
    score_pairs(queries, documents, (query, document), KIND_OF[similarity], scores)
    return scores


def score_of(queries: Queries, query: int, documents: Documents, document: int) -> float:
    """The score of one pair."""
    from xlir_bench.retrieval.dot import pair_score

    return float(pair_score(queries.vectors, query, documents.vectors, document, queries.kind))


def score_error(
    terms: npt.NDArray[np.int64], lengths: npt.NDArray[np.float64], longest: float, kind: int
) -> npt.NDArray[np.float64]:
    """How far a query's products may be from scores, as `blocks.Queries.error` means it; (queries,).

    Args:
        terms: see `product_error`.
        lengths: of the queries; (queries,).
        longest: the length of the longest document.
        kind: how pairs are scored.
    """
    if kind == MANHATTAN:
        return np.zeros(len(terms))
    error = product_error(terms, lengths, longest)
    if kind == DOT:
        return error
    # Of |x|^2 + |y|^2 - 2 x'y in float32: both squares, their sum and the difference are rounded once each.
    return 2 * error + 5 * _UNIT * (lengths**2 + longest**2) + 8 * _SMALLEST


def band(own: Scores, error: npt.NDArray[np.float64], kind: int) -> tuple[Scores, Scores]:
    """Between what bounds the products are whose score may be that of a judged document; see `blocks.Judged`.

    Args:
        own: scores of judged documents; (judgements,).
        error: of their queries' products; (judgements,).
        kind: how pairs are scored.

    Returns:
        `low` and `high`; (judgements,).
    """
    if kind == EUCLIDEAN:
        squares = own.astype(np.float64) ** 2
        slack = ROUNDED * squares + error
        below, above = -np.sqrt(squares + slack), -np.sqrt(np.maximum(squares - slack, 0.0))
    else:
        below, above = own - error, own + error
    # A document that is left out has minus infinity: no band may reach so far down.
    low = np.maximum(np.nextafter(below.astype(np.float32), _LEAST), _LEAST)
    return low, np.nextafter(above.astype(np.float32), np.float32(np.inf))


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
