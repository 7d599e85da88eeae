"""Where a static encoder starts: vectors that already know words, before a single step of training.

A piece's vector is the sum of two parts, in proportions `shared` and 1 - `shared`:

* identity: a random direction. Two texts are then near in so far as they share pieces (random projection), which
  alone finds an answer in the question's own language, and stays with the pieces that training never sees;
* meaning: the piece's place in cross-language latent semantic indexing (Dumais et al., 1997): all translations
  of one record are one document, and pieces of different languages that occur in the same records come close.

Both are scaled by the piece's inverse document frequency.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from xlir_bench.training.batches import Ints

Vectors = NDArray[np.float32]

_OVERSAMPLING = 20
_ITERATIONS = 3
_FLATTENING = 0.75
_LEAST_COLUMN_NORM = 0.1


def inverse_document_frequency(ids: NDArray[np.int32], offsets: Ints, pieces: int) -> Vectors:
    """Return log(texts / (texts with the piece + 1)), not below 0.1, for every piece: shape (pieces,)."""
    texts = len(offsets) - 1
    rows = np.repeat(np.arange(texts, dtype=np.int64), np.diff(offsets))
    distinct = np.unique(rows * pieces + ids)
    frequency = np.bincount(distinct % pieces, minlength=pieces)
    idf: Vectors = np.maximum(np.log(texts / (frequency + 1.0)), 0.1).astype(np.float32)
    return idf


def record_matrix(ids: NDArray[np.int32], offsets: Ints, records: Ints, idf: Vectors) -> sparse.csr_matrix:
    """Weigh pieces by record: log(1 + tf) x idf, every text of unit length, over the root of texts per record.

    Args:
        ids: pieces of all texts, see `encode_ragged`.
        offsets: where every text begins, see `encode_ragged`.
        records: record of every text, shape (texts,), numbered from 0.
        idf: shape (pieces,).

    Returns:
        Matrix of shape (records, pieces).
    """
    # Copied, since joining duplicates below would rewrite the caller's ids in place.
    counts = sparse.csr_matrix(
        (np.ones(len(ids), np.float32), ids.copy(), offsets.copy()), shape=(len(records), len(idf))
    )
    counts.sum_duplicates()
    counts.data = np.log1p(counts.data) * idf[counts.indices]
    lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    texts = sparse.diags((1 / np.maximum(lengths, 1e-6)).astype(np.float32)) @ counts
    per_record = np.bincount(records)
    shares = (1 / np.sqrt(per_record[records])).astype(np.float32)
    membership = sparse.csr_matrix((shares, (records, np.arange(len(records)))), shape=(len(per_record), len(records)))
    return sparse.csr_matrix(membership @ texts, dtype=np.float32)


def latent_directions(matrix: sparse.csr_matrix, dimensions: int, seed: int) -> Vectors:
    """Return the leading right singular vectors, by randomised subspace iteration (Halko et al., 2011).

    Columns are first divided by their length to the power 3/4, so that frequent pieces do not fill the space.

    Returns:
        One unit vector per piece, shape (pieces, dimensions); zero for a piece that hardly occurs.
    """
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel())
    scaling = (np.maximum(lengths, _LEAST_COLUMN_NORM) ** -_FLATTENING).astype(np.float32)
    scaled = sparse.csr_matrix(matrix @ sparse.diags(scaling))
    forward, backward = _as_torch(scaled), _as_torch(sparse.csr_matrix(scaled.T))
    generator = torch.Generator().manual_seed(seed)
    width = min(dimensions + _OVERSAMPLING, *scaled.shape)
    basis = torch.randn(scaled.shape[1], width, generator=generator)
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(backward @ (forward @ basis))[0]
    projected = forward @ basis
    _, rotation = torch.linalg.eigh(projected.T @ projected)
    leading = (basis @ rotation.flip(1))[:, :dimensions].numpy()
    norms = np.linalg.norm(leading, axis=1, keepdims=True)
    directions = np.where(lengths[:, None] < _LEAST_COLUMN_NORM, 0, leading / np.maximum(norms, 1e-6))
    return np.asarray(directions, dtype=np.float32)


def starting_vectors(idf: Vectors, latent: Vectors, dimensions: int, shared: float, seed: int) -> Vectors:
    """Add identity and meaning.

    Args:
        idf: shape (pieces,).
        latent: unit vectors, shape (pieces, latent dimensions); at most `dimensions` columns.
        dimensions: columns of the result.
        shared: share of meaning in a vector's squared length, from 0 to 1.
        seed: of the random directions and of the rotation that `latent` is laid in.

    Returns:
        Vectors of mean length about 1, shape (pieces, dimensions).
    """
    rng = np.random.default_rng(seed)
    identity = rng.standard_normal((len(idf), dimensions)) / np.sqrt(dimensions)
    rotation = np.linalg.qr(rng.standard_normal((dimensions, latent.shape[1])))[0]
    vectors = np.sqrt(1 - shared) * identity + np.sqrt(shared) * (latent @ rotation.T)
    return np.asarray(vectors * (idf / idf.mean())[:, None], dtype=np.float32)


def _as_torch(matrix: sparse.csr_matrix) -> torch.Tensor:
    rows, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    with warnings.catch_warnings():
        # Torch calls its compressed rows a prototype; only their product with a dense matrix is used here.
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(rows), torch.from_numpy(columns), torch.from_numpy(matrix.data), size=matrix.shape
        )
