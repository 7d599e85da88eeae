"""From texts to one matrix: each distinct text encoded once, longest first, block by block, through the cache."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Texts
from xlir_bench.encoders.batching import Pace
from xlir_bench.encoders.cache import VectorCache, VectorStore, keys_of, rounded_to
from xlir_bench.encoders.protocol import (
    FULL_ROUNDING,
    Encoder,
    Lookup,
    ModelInfo,
    PartwiseEncoder,
    Role,
    Vectors,
)
from xlir_bench.encoders.returned import Batch, checked, encoded, looked_up
from xlir_bench.errors import InputError
from xlir_bench.external_code import external_code
from xlir_bench.interrupts import keeps
from xlir_bench.progress import SILENT, Progress, Stage

log = logging.getLogger(__name__)

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
        progress: called after every batch of this package's encoders, and after every block of other encoders.

    Raises:
        InputError: the encoder raised something, or returned something else than one finite vector of one width for
            each text; the message names the encoder and the text.
    """
    if isinstance(retriever, Lookup):
        found = looked_up(retriever, info, texts, role)
        _tie_equal_texts(found, texts)
        return Encoded(found, 0, len(texts))
    distinct = distinct_texts(texts)
    stage = progress.stage(_STAGE[role], len(texts), "texts")
    metadata = {"id": info.id, "name": info.name, "revision": info.revision}
    store = cache.store(info.vector_key, role, metadata) if cache is not None and info.vector_key else None
    # The rows of the result grouped by distinct text, so that a block goes to its final place without a second copy.
    rows = np.argsort(distinct.position, kind="stable")
    starts = np.searchsorted(distinct.position[rows], np.arange(len(distinct.texts) + 1))
    result: Vectors | None = None
    count = 0
    for begin in range(0, len(distinct.texts), BLOCK):
        block = slice(begin, min(begin + BLOCK, len(distinct.texts)))
        filled = rows[starts[block.start] : starts[block.stop]]
        part = _Part(stage, len(filled))
        with keeping_vectors(cache, info), part.of(retriever):
            vectors, fresh = _block(retriever, _Request(info, role, distinct, block, part.advance), store)
        if result is None:
            result = np.empty((len(texts), vectors.shape[1]), np.float32)
        elif vectors.shape[1] != result.shape[1]:
            raise InputError(
                f"encoder {info.id} returned {vectors.shape[1]} dimensions for "
                f"{_Request(info, role, distinct, block).batch([begin]).quoted(0)} "
                f"and {result.shape[1]} for earlier texts; every vector needs the same"
            )
        result[filled] = vectors[distinct.position[filled] - begin]
        count += fresh
        part.finish()
    if result is None:
        result = np.empty((0, 0), np.float32)
    # Whether or not there is a cache, so that figures do not depend on it.
    result = rounded_to(result, info.stored_as)
    _tie_equal_texts(result, texts)
    return Encoded(result, count, len(distinct.texts) - count)


class _Part:
    """A block's share of a stage, of which never more is reported than there is: a batch may be encoded twice."""

    def __init__(self, stage: Stage, size: int) -> None:
        self._stage, self._left = stage, size

    def advance(self, texts: int) -> None:
        """So many texts more are done."""
        done = min(texts, self._left)
        self._left -= done
        if done:
            self._stage.advance(done)

    def finish(self) -> None:
        """All are done."""
        self.advance(self._left)

    @contextmanager
    def of(self, retriever: Encoder) -> Iterator[None]:
        """While this is open, an encoder that cuts texts into batches itself reports each."""
        pace = getattr(retriever, "pace", None)
        if not isinstance(pace, Pace):
            yield
            return
        pace.report = self.advance
        try:
            yield
        finally:
            pace.report = None


def keeping_vectors(cache: VectorCache | None, info: ModelInfo) -> AbstractContextManager[None]:
    """While this is open, an interrupt says that vectors are kept, if they are."""
    if cache is None or not info.fingerprint:
        return nullcontext()
    return keeps("what was encoded is kept: the same command goes on from there")


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
    done: Callable[[int], None] = lambda texts: None

    def batch(self, rows: Sequence[int]) -> Batch:
        """Some of the distinct texts, as they are given to the encoder."""
        distinct = self.distinct
        return Batch(
            self.info,
            self.role,
            [distinct.texts[row] for row in rows],
            [distinct.languages[row] for row in rows],
            [distinct.ids[row] for row in rows],
        )


def _block(retriever: Encoder, request: _Request, store: VectorStore | None) -> tuple[Vectors, int]:
    """The vectors of one block, shape (block, dimensions), and how many of them were encoded now."""
    size = request.block.stop - request.block.start
    if store is None:
        every = np.arange(size)
        if isinstance(retriever, PartwiseEncoder):
            return _in_parts(retriever, request, every, None), size
        return _encoded(retriever, request, every), size
    keys = keys_of(request.distinct.texts[request.block], request.distinct.languages[request.block])
    stored_at, stored = store.find(keys)
    if len(stored_at) == size:
        return stored, 0
    missing = np.setdiff1d(np.arange(size), stored_at, assume_unique=True)
    if isinstance(retriever, PartwiseEncoder):
        fresh = _in_parts(retriever, request, missing, _Storing(store, keys))
    else:
        fresh = store.rounded(_encoded(retriever, request, missing))
        store.add(keys[missing], fresh)
    if len(missing) == size:
        return fresh, size
    if stored.shape[1] != fresh.shape[1]:
        return _replaced(retriever, request, _Storing(store, keys), (missing, fresh)), size
    vectors = np.empty((size, fresh.shape[1]), np.float32)
    vectors[stored_at] = stored
    vectors[missing] = fresh
    return vectors, len(missing)


def _replaced(
    retriever: Encoder, request: _Request, storing: _Storing, encoded: tuple[npt.NDArray[np.int64], Vectors]
) -> Vectors:
    """The vectors of a block of which some were stored in another width, shape (block, dimensions).

    Those cannot be this model's, whatever put them there: all that is stored for it is discarded.

    Args:
        retriever: the model.
        request: the block.
        storing: where its vectors are stored, and under which keys.
        encoded: positions in the block of what was encoded just now, and the vectors.
    """
    done, fresh = encoded
    log.warning(
        "what is stored for %s in role %s has another number of dimensions than the %d that it returns; "
        "it is discarded and encoded again",
        request.info.id,
        request.role,
        fresh.shape[1],
    )
    storing.store.discard()
    left = np.setdiff1d(np.arange(len(storing.keys)), done, assume_unique=True)
    again = storing.store.rounded(_encoded(retriever, request, left))
    if again.shape[1] != fresh.shape[1]:
        first = request.batch([request.block.start + int(left[0])]).quoted(0)
        raise InputError(
            f"encoder {request.info.id} returned {again.shape[1]} dimensions for {first} and {fresh.shape[1]} for "
            "other texts; every vector needs the same"
        )
    vectors = np.empty((len(storing.keys), fresh.shape[1]), np.float32)
    vectors[left] = again
    vectors[done] = fresh
    storing.store.add(storing.keys, vectors)
    return vectors


@dataclass(frozen=True)
class _Storing:
    store: VectorStore
    keys: npt.NDArray[np.bytes_]


def _in_parts(
    retriever: PartwiseEncoder, request: _Request, missing: npt.NDArray[np.int64], storing: _Storing | None
) -> Vectors:
    """The vectors of the missing texts, shape (missing, dimensions), each part stored and reported as it comes."""
    rows = [request.block.start + int(offset) for offset in missing]
    batch = request.batch(rows)
    result: Vectors | None = None
    filled = np.zeros(len(rows), np.bool_)
    with external_code(f"encoder {request.info.id} failed", f"on {batch}", owner=request.info.id):
        parts = iter(retriever.encode_parts(batch.texts, role=request.role, languages=batch.languages))
    while True:
        with external_code(f"encoder {request.info.id} failed", f"on {batch}", owner=request.info.id):
            part = next(parts, None)
        if part is None:
            break
        at = np.asarray(part[0])
        vectors = checked(part[1], request.batch([rows[int(row)] for row in at]))
        vectors = vectors if storing is None else storing.store.rounded(vectors)
        if result is None:
            result = np.empty((len(rows), vectors.shape[1]), np.float32)
        if vectors.shape[1] != result.shape[1] or filled[at].any():
            raise InputError(
                f"encoder {request.info.id} returned vectors of several widths, or a text's vector twice, for {batch}"
            )
        if storing is not None:
            storing.store.add(storing.keys[missing[at]], vectors)
        result[at] = vectors
        filled[at] = True
        request.done(len(at))
    if result is None or not filled.all():
        raise InputError(f"encoder {request.info.id} returned {filled.sum()} vectors for {batch}")
    return result


def _encoded(retriever: Encoder, request: _Request, at: npt.NDArray[np.int64]) -> Vectors:
    return encoded(retriever, request.batch([request.block.start + int(offset) for offset in at]))
