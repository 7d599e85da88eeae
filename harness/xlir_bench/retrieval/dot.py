"""The dot product that decides: vector instructions in a fixed order. Imported only when ranks are counted."""

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


@intrinsic  # type: ignore[untyped-decorator]
def _sum_of_products(_: Any, one: Any, row: Any, other: Any, column: Any) -> Any:  # noqa: ANN401
    """Of the first floor(n / 32) * 32 numbers of one[row] and other[column]: 32 sums in float64, then pairs of them.

    Left to itself the compiler keeps the order and so uses one lane, which is three times slower; told that order does
    not matter it would take another one on each processor. Here the lanes are spelt out.
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
                factors = []
                for begin in begins:
                    loaded = builder.load(builder.bitcast(builder.gep(begin, [at]), narrow.as_pointer()))
                    loaded.align = 4
                    factors.append(builder.fpext(loaded, wide))
                builder.store(builder.fadd(builder.load(total), builder.fmul(*factors)), total)
        vectors = [builder.load(total) for total in sums]
        while len(vectors) > 1:
            vectors = [builder.fadd(*pair) for pair in zip(vectors[::2], vectors[1::2], strict=True)]
        lanes = [builder.extract_element(vectors[0], ir.Constant(ir.IntType(32), lane)) for lane in range(_LANES)]
        while len(lanes) > 1:
            lanes = [builder.fadd(*pair) for pair in zip(lanes[::2], lanes[1::2], strict=True)]
        return lanes[0]

    return types.float64(one, types.intp, other, types.intp), code


@bare
def pair_score(queries: Vectors, query: int, documents: Vectors, document: int) -> np.float32:
    """The score of a pair of rows: their product in float64, 32 sums side by side, rounded to float32.

    The product of two float32 is exact in float64, so that the value is the same on every processor, with fused
    multiplication or without. Both matrices are in C order.
    """
    total = _sum_of_products(queries, query, documents, document)
    size = queries.shape[1]
    for i in range(size - size % _STEP, size):
        total += np.float64(queries[query, i]) * np.float64(documents[document, i])
    return np.float32(total)


@bare
def score_pairs(
    queries: Vectors,
    documents: Vectors,
    query: npt.NDArray[np.int64],
    document: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32],
) -> None:
    """Fill `scores` with those of the pairs (query[n], document[n]); (pairs,)."""
    for n in range(query.shape[0]):
        scores[n] = pair_score(queries, query[n], documents, document[n])


@bare
def score_all(queries: Vectors, documents: Vectors, scores: npt.NDArray[np.float32]) -> None:
    """Fill `scores` with those of all pairs; (queries, documents)."""
    for q in range(queries.shape[0]):
        for d in range(documents.shape[0]):
            scores[q, d] = pair_score(queries, q, documents, d)


@bare
def scale_rows(vectors: Vectors, cosine: bool, scaled: Vectors) -> float:
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
