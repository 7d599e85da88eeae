"""The score of a pair of vectors that decides: vector instructions in a fixed order.

One for each way of comparing vectors: the dot product, which of vectors of length 1 is the cosine, and the two
distances, negated. Imported only when ranks are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xlir_bench.encoders.protocol import Vectors
from xlir_bench.retrieval.blocks import DOT, EUCLIDEAN, MANHATTAN

_LANES = 8
_SUMS = 4
_STEP = _LANES * _SUMS


def compiled(function: Callable[..., Any], **options: bool) -> Any:  # noqa: ANN401  (numba's dispatcher has no type)
    """The function as machine code that lets go of Python's lock; kept on disk where there is a place for it."""
    from numba import njit

    try:
        return njit(function, nogil=True, cache=True, **options)
    except RuntimeError:  # nowhere to keep the compiled code: a read-only installation without a home
        return njit(function, nogil=True, **options)


def bare(function: Callable[..., Any]) -> Any:  # noqa: ANN401
    """As `compiled`, for a function that makes no array: it counts no references to arrays.

    Counting them is atomic: threads that read the same vectors would wait for each other at every pair. The caller
    holds all arrays while the function runs.
    """
    return compiled(function, _nrt=False)


def _term(builder: Any, kind: int, one: Any, other: Any) -> Any:  # noqa: ANN401
    """What a number of each vector, or a lane of them, adds to the sum of a pair."""
    if kind == DOT:
        return builder.fmul(one, other)
    difference = builder.fsub(one, other)
    if kind == EUCLIDEAN:
        return builder.fmul(difference, difference)
    zero = ir.Constant(difference.type, [0.0] * _LANES)
    return builder.select(builder.fcmp_ordered("<", difference, zero), builder.fsub(zero, difference), difference)


def _sum_of(kind: int) -> Any:  # noqa: ANN401
    """An intrinsic that sums the terms of the first floor(n / 32) * 32 numbers of one[row] and other[column].

    There are 32 sums in float64, of which pairs are then added. Left to itself the compiler keeps the order and so uses
    one lane, which is three times slower; if it may choose the order, it takes another one on each processor. Here the
    lanes are written out.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        number = context.get_value_type(types.intp)
        narrow, wide = ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(ir.DoubleType(), _LANES)
        begins = []
        for matrix, at in ((0, 1), (2, 3)):
            array = context.make_array(signature.args[matrix])(context, builder, arguments[matrix])
            size = cgutils.unpack_tuple(builder, array.shape)[1]
            begins.append(builder.gep(array.data, [builder.mul(arguments[at], size)]))
        sums = [cgutils.alloca_once_value(builder, ir.Constant(wide, [0.0] * _LANES)) for _ in range(_SUMS)]
        with cgutils.for_range(builder, builder.udiv(size, number(_STEP))) as loop:
            for part, total in enumerate(sums):
                at = builder.add(builder.mul(loop.index, number(_STEP)), number(part * _LANES))
                numbers = []
                for begin in begins:
                    loaded = builder.load(builder.bitcast(builder.gep(begin, [at]), narrow.as_pointer()))
                    loaded.align = 4
                    numbers.append(builder.fpext(loaded, wide))
                builder.store(builder.fadd(builder.load(total), _term(builder, kind, *numbers)), total)
        vectors = [builder.load(total) for total in sums]
        while len(vectors) > 1:
            vectors = [builder.fadd(*pair) for pair in zip(vectors[::2], vectors[1::2], strict=True)]
        lanes = [builder.extract_element(vectors[0], ir.Constant(ir.IntType(32), lane)) for lane in range(_LANES)]
        while len(lanes) > 1:
            lanes = [builder.fadd(*pair) for pair in zip(lanes[::2], lanes[1::2], strict=True)]
        return lanes[0]

    @intrinsic  # type: ignore[untyped-decorator]
    def total(_: Any, one: Any, row: Any, other: Any, column: Any) -> Any:  # noqa: ANN401
        return types.float64(one, types.intp, other, types.intp), code

    return total


_sum_of_products = _sum_of(DOT)
_sum_of_squares = _sum_of(EUCLIDEAN)
_sum_of_differences = _sum_of(MANHATTAN)


@bare
def pair_score(queries: Vectors, query: int, documents: Vectors, document: int, kind: int) -> np.float32:
    """The score of a pair of rows: the sum of their terms in float64, 32 sums side by side, rounded to float32.

    The terms are products, squared differences or absolute differences; see `KIND_OF`. Of a distance the score is the
    negated one: minus the root of the sum of squares, or minus the sum. The product of two float32 is exact in float64,
    and nothing here is contracted to a fused multiplication, so that the value is the same on every processor. Equal
    vectors have equal scores. Both matrices are in C order.
    """
    size = queries.shape[1]
    rest = range(size - size % _STEP, size)
    if kind == DOT:
        total = _sum_of_products(queries, query, documents, document)
        for i in rest:
            total += np.float64(queries[query, i]) * np.float64(documents[document, i])
        return np.float32(total)
    if kind == EUCLIDEAN:
        total = _sum_of_squares(queries, query, documents, document)
        for i in rest:
            difference = np.float64(queries[query, i]) - np.float64(documents[document, i])
            total += difference * difference
        return np.float32(0.0) - np.float32(np.sqrt(total))
    total = _sum_of_differences(queries, query, documents, document)
    for i in rest:
        total += abs(np.float64(queries[query, i]) - np.float64(documents[document, i]))
    return np.float32(0.0) - np.float32(total)


@bare
def score_pairs(
    queries: Vectors,
    documents: Vectors,
    pairs: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    kind: int,
    scores: npt.NDArray[np.float32],
) -> None:
    """Fill `scores` with those of the pairs (query[n], document[n]); (pairs,)."""
    query, document = pairs
    for n in range(query.shape[0]):
        scores[n] = pair_score(queries, query[n], documents, document[n], kind)


@bare
def score_all(queries: Vectors, documents: Vectors, kind: int, scores: npt.NDArray[np.float32]) -> None:
    """Fill `scores` with those of all pairs; (queries, documents)."""
    for q in range(queries.shape[0]):
        for d in range(documents.shape[0]):
            scores[q, d] = pair_score(queries, q, documents, d, kind)


@bare
def scale_rows(vectors: Vectors, cosine: bool, scaled: Vectors, lengths: npt.NDArray[np.float64]) -> None:
    """Fill `scaled` with the vectors, of length 1 for a cosine, and `lengths` with the lengths of these, (texts,).

    A vector of zeros stays.
    """
    for row in range(vectors.shape[0]):
        total = 0.0
        for i in range(vectors.shape[1]):
            total += np.float64(vectors[row, i]) * np.float64(vectors[row, i])
        length = np.sqrt(total)
        divisor = length if cosine and length > 0 else 1.0
        for i in range(vectors.shape[1]):
            scaled[row, i] = np.float32(vectors[row, i] / divisor)
        lengths[row] = length / divisor
