"""From texts to one matrix: each distinct text encoded once, longest first, block by block, through the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Texts
from xlir_bench.encoders.cache import Shelf, VectorCache, keys_of
from xlir_bench.encoders.checkpoint import Foreign
from xlir_bench.encoders.protocol import (
    FULL_ROUNDING,
    Encoder,
    Lookup,
    ModelInfo,
    PartwiseEncoder,
    Role,
    Vectors,
)
from xlir_bench.errors import InputError
from xlir_bench.progress import SILENT, Progress

BLOCK = 2048
"""Texts per block: what is encoded between two visits to the cache, and what a run that is cut off loses at most."""

_STAGE = {"query": "encoding queries", "document": "encoding documents"}


@dataclass(frozen=True)
class Encoded:
    """The vectors of one role, and where they came from.

    Attributes:
        vectors: float32, shape (texts, dimensions), in the order of the texts, as the encoder gave them.
        encoded: distinct texts that the encoder was given.
        from_cache: distinct texts whose vectors were already stored.
    """

    vectors: Vectors
    encoded: int
    from_cache: int


@dataclass(frozen=True)
class Distinct:
    """Texts that occur once each, longest first: long ones together pad least, and want of memory shows at once."""

    texts: list[str]
    languages: list[str]
    ids: list[str]
    position: npt.NDArray[np.int64]  # of each original text in the three lists

    def __len__(self) -> int:
        return len(self.texts)


def encode_texts(
    retriever: Encoder | Lookup,
    info: ModelInfo,
    texts: Texts,
    role: Role,
    *,
    cache: VectorCache | None = None,
    progress: Progress = SILENT,
) -> Encoded:
    """Vectors of `texts` in their order; texts that are equal, in one language, are encoded once.

    A text that occurs in several languages is encoded for each, since a model may need to know the language. Where the
    vectors differ by rounding only, they are made equal, so that equal texts tie exactly in a ranking.

    Vectors that are looked up by id are taken as they are; nothing is encoded or stored.

    Args:
        retriever: the model.
        info: what the model is; its `vector_key` is the key under which vectors are stored.
        texts: queries or documents.
        role: which of the two.
        cache: where vectors are looked up and stored; nowhere if none is given.
        progress: told of every block.

    Raises:
        InputError: the encoder returned something else than one finite vector of one width for each text. What it
            raises itself passes through.
    """
    if isinstance(retriever, Lookup):
        found = np.array(retriever.lookup(texts.ids, role=role), np.float32, order="C")
        _tie_equal_texts(found, texts)
        return Encoded(found, 0, len(texts))
    distinct = distinct_texts(texts)
    stage = progress.stage(_STAGE[role], len(texts), "texts")
    card = {"id": info.id, "name": info.name, "revision": info.revision}
    shelf = cache.shelf(info.vector_key, role, card) if cache is not None and info.vector_key else None
    # The rows of the result grouped by distinct text, so that a block goes to its final place without a second copy.
    rows = np.argsort(distinct.position, kind="stable")
    starts = np.searchsorted(distinct.position[rows], np.arange(len(distinct.texts) + 1))
    result: Vectors | None = None
    encoded = 0
    for begin in range(0, len(distinct.texts), BLOCK):
        block = slice(begin, min(begin + BLOCK, len(distinct.texts)))
        vectors, fresh = _block(retriever, _Request(info, role, distinct, block), shelf)
        if result is None:
            result = np.empty((len(texts), vectors.shape[1]), np.float32)
        elif vectors.shape[1] != result.shape[1]:
            raise InputError(
                f"encoder {info.id} returned {vectors.shape[1]} dimensions for {_quoted(distinct, role, begin)} "
                f"and {result.shape[1]} for earlier texts; every vector needs the same"
            )
        filled = rows[starts[block.start] : starts[block.stop]]
        result[filled] = vectors[distinct.position[filled] - begin]
        encoded += fresh
        stage.advance(len(filled))
    if result is None:
        result = np.empty((0, 0), np.float32)
    _tie_equal_texts(result, texts)
    return Encoded(result, encoded, len(distinct.texts) - encoded)


def as_matrix(returned: Foreign) -> npt.NDArray[np.float32]:
    """What an encoder returned, as a float32 array of whatever shape it has.

    Arrays, nested lists, tensors of any precision and device, lists of tensors and sparse matrices are understood.

    Raises:
        TypeError: not numbers.
        ValueError: not numbers, or rows of different lengths.
    """
    if hasattr(returned, "detach"):
        if getattr(returned, "is_sparse", False):
            returned = returned.to_dense()
        # numpy has no bfloat16, so the tensor becomes float32 before it becomes an array.
        returned = returned.detach().cpu().float().numpy()
    elif hasattr(returned, "toarray"):
        returned = returned.toarray()
    elif isinstance(returned, (list, tuple)) and returned and hasattr(returned[0], "detach"):
        returned = np.stack([as_matrix(row) for row in returned])
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is named as such
        return np.asarray(returned, dtype=np.float32)


def distinct_texts(texts: Texts) -> Distinct:
    """The (text, language) pairs of a column, each once."""
    first: dict[tuple[str, str], int] = {}
    member = np.empty(len(texts), dtype=np.int64)
    representative: list[int] = []
    for row, pair in enumerate(zip(texts.texts, texts.languages, strict=True)):
        number = first.setdefault(pair, len(representative))
        if number == len(representative):
            representative.append(row)
        member[row] = number
    lengths = np.array([len(texts.texts[row]) for row in representative], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    kept = [representative[number] for number in order]
    return Distinct(
        [texts.texts[row] for row in kept],
        [texts.languages[row] for row in kept],
        [texts.ids[row] for row in kept],
        place[member],
    )


def _tie_equal_texts(vectors: Vectors, texts: Texts) -> None:
    """Give equal texts of several languages the vector of the first, where the others are that but for rounding.

    A model that does not look at the language still sums in another order in another place of a batch. What a
    language does to a vector is far larger than the bound of one part in ten thousand.
    """
    first: dict[str, int] = {}
    for row, text in enumerate(texts.texts):
        reference = first.setdefault(text, row)
        if texts.languages[row] == texts.languages[reference]:
            continue
        if is_rounding(vectors[row], vectors[reference]):
            vectors[row] = vectors[reference]


def is_rounding(vector: Vectors, reference: Vectors, bound: float = FULL_ROUNDING) -> bool:
    """Whether two vectors of one text differ by no more than rounding; (dimensions,) each."""
    return bool(np.linalg.norm(vector - reference) <= bound * np.linalg.norm(reference))


@dataclass(frozen=True)
class _Request:
    info: ModelInfo
    role: Role
    distinct: Distinct
    block: slice


def _block(retriever: Encoder, request: _Request, shelf: Shelf | None) -> tuple[Vectors, int]:
    """The vectors of one block, shape (block, dimensions), and how many of them were encoded now."""
    size = request.block.stop - request.block.start
    if shelf is None:
        return _encoded(retriever, request, np.arange(size)), size
    keys = keys_of(request.distinct.texts[request.block], request.distinct.languages[request.block])
    stored_at, stored = shelf.find(keys)
    if len(stored_at) == size:
        return stored, 0
    missing = np.setdiff1d(np.arange(size), stored_at, assume_unique=True)
    if isinstance(retriever, PartwiseEncoder):
        fresh = _in_parts(retriever, request, missing, _Storing(shelf, keys))
    else:
        fresh = shelf.rounded(_encoded(retriever, request, missing))
        shelf.add(keys[missing], fresh)
    if len(missing) == size:
        return fresh, size
    if stored.shape[1] != fresh.shape[1]:
        # The stored ones cannot be this model's, whatever put them there: encode the block anew.
        return shelf.rounded(_encoded(retriever, request, np.arange(size))), size
    vectors = np.empty((size, fresh.shape[1]), np.float32)
    vectors[stored_at] = stored
    vectors[missing] = fresh
    return vectors, len(missing)


@dataclass(frozen=True)
class _Storing:
    shelf: Shelf
    keys: npt.NDArray[np.bytes_]


def _in_parts(
    retriever: PartwiseEncoder, request: _Request, missing: npt.NDArray[np.int64], storing: _Storing
) -> Vectors:
    """The vectors of the missing texts, shape (missing, dimensions), each part stored as soon as it is there."""
    rows = [request.block.start + int(offset) for offset in missing]
    texts = [request.distinct.texts[row] for row in rows]
    languages = [request.distinct.languages[row] for row in rows]
    result: Vectors | None = None
    filled = 0
    for at, returned in retriever.encode_parts(texts, role=request.role, languages=languages):
        vectors = storing.shelf.rounded(_checked(returned, request, [rows[int(row)] for row in at]))
        storing.shelf.add(storing.keys[missing[at]], vectors)
        if result is None:
            result = np.empty((len(rows), vectors.shape[1]), np.float32)
        result[at] = vectors
        filled += len(at)
    if result is None or filled != len(rows):
        raise InputError(f"encoder {request.info.id} returned {filled} vectors for {len(rows)} texts")
    return result


def _encoded(retriever: Encoder, request: _Request, at: npt.NDArray[np.int64]) -> Vectors:
    rows = [request.block.start + int(offset) for offset in at]
    texts = [request.distinct.texts[row] for row in rows]
    languages = [request.distinct.languages[row] for row in rows]
    returned = retriever.encode(texts, role=request.role, languages=languages)
    return _checked(returned, request, rows)


def _checked(returned: object, request: _Request, rows: Sequence[int]) -> Vectors:
    """`returned` as a matrix, one finite row per text, or an error that names the encoder, the text and what came."""
    who = f"encoder {request.info.id} returned"
    first = _quoted(request.distinct, request.role, rows[0])
    expected = f"a matrix of shape ({len(rows)}, dimensions) was expected"
    try:
        matrix = as_matrix(returned)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{who} {type(returned).__name__} that is not a matrix of numbers for {len(rows)} texts "
            f"beginning with {first} ({reason}); {expected}"
        ) from None
    if matrix.ndim != 2 or len(matrix) != len(rows) or not matrix.shape[1]:
        came = f"an array of shape {matrix.shape}" if matrix.ndim else type(returned).__name__
        raise InputError(f"{who} {came} for {len(rows)} texts beginning with {first}; {expected}")
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        wrong = int(np.flatnonzero(~finite)[0])
        value = "NaN" if np.isnan(matrix[wrong]).any() else "infinity"
        raise InputError(f"{who} {value} for {_quoted(request.distinct, request.role, rows[wrong])}")
    return matrix


def _quoted(distinct: Distinct, role: Role, row: int) -> str:
    text = " ".join(distinct.texts[row].split())
    shown = text if len(text) <= 60 else f"{text[:59]}…"
    return f'{role} "{shown}" (id {distinct.ids[row]})'
