"""How alike two sets of vectors of the same texts are, and how the vectors of one set lie in space.

Row i of two matrices is the same text, in two languages or by two encoders. What is undefined, because vectors are all
alike or too few, is None, never NaN.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.floating]

FEWEST = 4
"""Rows that debiased CKA needs: below, its denominators n - 3 and n - 2 vanish or turn negative."""

_BATCH = 2048


def centred_kernel_alignment(x: Vectors, y: Vectors, *, batch: int = _BATCH) -> float | None:
    """Debiased linear CKA: 1 where one set is a rotation and scaling of the other, about 0 for independent ones.

    The unbiased HSIC estimator of Song et al. 2012 (Feature selection via dependence maximization, equation 5) in the
    ratio of Kornblith et al. 2019 (arXiv 1905.00414, equation 3). Over batches the three HSIC terms are averaged before
    the ratio (Nguyen, Raghu & Kornblith 2021, arXiv 2010.15327, section 3). Small values below 0 occur by chance.

    Args:
        x: vectors of some texts; (texts, dimensions).
        y: vectors of the same texts, in the same order; the dimensions may be others.
        batch: texts per batch; a rest too small for one goes to the last.

    Returns:
        None with fewer than 4 texts, or where the rows of a side are all alike.
    """
    a, b = _scaled(x), _scaled(y)
    return _ratio([_terms(a[rows], b[rows]) for rows in _batches(len(a), batch)])


def shuffled_baseline(x: Vectors, y: Vectors, *, repeats: int = 5, seed: int = 0, batch: int = _BATCH) -> float | None:
    """What `centred_kernel_alignment` gives when the rows of `y` are in random order, mean over `repeats`.

    It says what the spread of the vectors alone would give; the alignment is what lies above it.
    """
    generator = np.random.default_rng(seed)
    found = [centred_kernel_alignment(x, y[generator.permutation(len(y))], batch=batch) for _ in range(repeats)]
    values = [value for value in found if value is not None]
    return float(np.mean(values)) if values else None


def biased_kernel_alignment(x: Vectors, y: Vectors) -> float | None:
    """Linear CKA as first published (Kornblith et al. 2019, equation 3 with the biased HSIC), for comparison only.

    With more dimensions than texts it is near 1 whatever the vectors: .79 for independent noise of 200 texts in 768
    dimensions, where the debiased form gives 0.
    """
    a, b = _centred(_scaled(x)), _centred(_scaled(y))
    if a is None or b is None:
        return None
    return float(np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)))


def uniformity(vectors: Vectors, *, seed: int = 0) -> float | None:
    """Logarithm of the mean of exp(-2 d^2) over pairs of normalised vectors: 0 is one point; lower fills the sphere.

    At best about -4 + small terms in few dimensions, and -4 in many. Source: Wang & Isola 2020 (arXiv 2005.10242),
    equation 2 with t = 2. Of more than 4,096 rows a random part is taken. None with fewer than two rows.
    """
    unit = _normalised(_part(vectors, seed))
    if len(unit) < 2:
        return None
    squared = np.maximum(0.0, 2 - 2 * (unit @ unit.T))
    above = squared[np.triu_indices(len(unit), 1)]
    return float(np.log(np.mean(np.exp(-2 * above))))


def alignment(x: Vectors, y: Vectors) -> float | None:
    """Mean squared distance of normalised vectors of a text and its translation: 0 is best, 4 opposite, 2 unrelated.

    Source: Wang & Isola 2020 (arXiv 2005.10242), equation 1 with alpha = 2. None without rows.
    """
    return float(((_normalised(x) - _normalised(y)) ** 2).sum(axis=1).mean()) if len(x) else None


def mean_cosine(vectors: Vectors) -> float | None:
    """Mean cosine of two different rows: 0 spread in all directions, near 1 in a narrow cone (Ethayarajh 2019).

    None with fewer than two rows.
    """
    unit = _normalised(vectors)
    rows = len(unit)
    if rows < 2:
        return None
    return float(((unit.sum(axis=0) ** 2).sum() - (unit**2).sum()) / (rows * (rows - 1)))


def isotropy(vectors: Vectors) -> float | None:
    """Least over greatest of Z(c) = sum of exp(<c, v>) over eigenvectors c, both signs; in [0, 1], 1 is even.

    Source: Mu & Viswanath 2018 (arXiv 1702.01417), section 2.1, on normalised vectors. None without rows, or where all
    vectors are zero.
    """
    unit = _normalised(vectors)
    if not len(unit) or not unit.any():
        return None
    directions = np.linalg.eigh(unit.T @ unit)[1]
    projected = unit @ directions
    sums = np.concatenate([np.exp(projected).sum(axis=0), np.exp(-projected).sum(axis=0)])
    return float(sums.min() / sums.max())


def nearest(
    queries: Vectors,
    items: Vectors,
    k: int,
    *,
    same: Literal["rows", "none"] = "none",
    similarity: Literal["cosine", "dot", "euclidean", "manhattan"] = "cosine",
) -> npt.NDArray[np.int64]:
    """The k items that are most similar to each query, in no order; (queries, k or as many as there are).

    Args:
        queries: (queries, dimensions).
        items: (items, dimensions).
        k: at least 1.
        same: "rows" where both are the same rows, of which none is its own neighbour.
        similarity: how two vectors are compared.
    """
    as_given = similarity != "cosine"
    left, right = ((side if as_given else _normalised(side)).astype(np.float32) for side in (queries, items))
    k = min(k, len(right) - (same == "rows"))
    found = np.empty((len(left), max(k, 0)), dtype=np.int64)
    if k < 1:
        return found
    for begin in range(0, len(left), _BATCH):
        scores = _similarities(left[begin : begin + _BATCH], right, similarity)
        if same == "rows":
            scores[np.arange(len(scores)), np.arange(begin, begin + len(scores))] = -np.inf
        found[begin : begin + len(scores)] = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return found


def _similarities(x: Vectors, y: Vectors, similarity: str) -> Floats:
    """Scores of all pairs of rows, greater ones more similar; of length 1 already where it is cosine."""
    if similarity in {"cosine", "dot"}:
        products: Floats = x @ y.T
        return products
    from scipy.spatial.distance import cdist

    distances: Floats = cdist(x, y, "euclidean" if similarity == "euclidean" else "cityblock")
    return -distances


def _terms(x: Floats, y: Floats) -> tuple[float, float, float] | None:
    """HSIC of (x, y), (x, x) and (y, y); None where a side is constant."""
    if len(x) < FEWEST:
        return None
    a, b = _centred(x), _centred(y)
    if a is None or b is None:
        return None
    k, other = _kernel(a), _kernel(b)
    own_x, own_y = _hsic(k, k), _hsic(other, other)
    if own_x <= 1e-14 * np.abs(k).max() ** 2 or own_y <= 1e-14 * np.abs(other).max() ** 2:
        return None
    return _hsic(k, other), own_x, own_y


def _scaled(x: Vectors) -> Floats:
    """In double precision, with 1 as the greatest entry: CKA does not change, and nothing under- or overflows."""
    rows = x.astype(np.float64)
    largest = np.abs(rows).max(initial=0.0)
    return rows / largest if largest > 0 else rows


def _centred(rows: Floats) -> Floats | None:
    """Rows less their mean; None where what is left is single precision's rounding, or nothing."""
    if not rows.size:
        return None
    left: Floats = rows - rows.mean(axis=0)
    return left if np.abs(left).max() > 1e-6 * np.abs(rows).max() else None


def _kernel(rows: Floats) -> Floats:
    """Products of rows, without the diagonal."""
    kernel: Floats = rows @ rows.T
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _hsic(k: Floats, other: Floats) -> float:
    """Unbiased HSIC of two kernels whose diagonals are 0 (Song et al. 2012, equation 5)."""
    n = len(k)
    sums, other_sums = k.sum(axis=1), other.sum(axis=1)
    trace = float(np.vdot(k, other))
    product = float(sums.sum() * other_sums.sum()) / ((n - 1) * (n - 2))
    return (trace + product - 2.0 / (n - 2) * float(sums @ other_sums)) / (n * (n - 3))


def _ratio(batches: list[tuple[float, float, float] | None]) -> float | None:
    terms = [batch for batch in batches if batch is not None]
    if not terms:
        return None
    between, own_x, own_y = np.mean(terms, axis=0)
    return float(between / np.sqrt(own_x * own_y))


def _batches(rows: int, size: int) -> list[slice]:
    """Consecutive batches; the last takes a rest that would be too small."""
    starts = list(range(0, rows, size)) or [0]
    if len(starts) > 1 and rows - starts[-1] < FEWEST:
        starts.pop()
    return [slice(begin, end) for begin, end in zip(starts, [*starts[1:], rows], strict=True)]


def _part(vectors: Vectors, seed: int, most: int = 4096) -> Vectors:
    if len(vectors) <= most:
        return vectors
    return vectors[np.random.default_rng(seed).choice(len(vectors), most, replace=False)]


def _normalised(vectors: Vectors) -> Floats:
    rows = vectors.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
