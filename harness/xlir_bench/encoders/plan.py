"""What a run would cost, before it is begun: texts, tokens, time, memory and disk."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Collection, Texts
from xlir_bench.encoders.cache import VectorCache, VectorStore, keys_of
from xlir_bench.encoders.encode import BLOCK, Distinct, distinct_texts
from xlir_bench.encoders.protocol import Encoder, Model, ModelInfo, PartwiseEncoder, Role, Tokenising
from xlir_bench.encoders.returned import Batch, encoded
from xlir_bench.external_code import external_code

SAMPLE = 256
"""Texts that are encoded to learn the speed: evenly over all lengths, so that their mean is everyone's."""

COUNTED = 20_000
"""Texts whose tokens are counted; where there are more, so many evenly over all lengths stand for the rest."""

_STORED_BESIDE = 20  # bytes of key and checksum per stored vector


@dataclass(frozen=True)
class Plan:
    """What a run of a model on a collection would do.

    Attributes:
        texts: queries and documents.
        distinct: how many of them differ, in text, language or role.
        stored: how many of these the cache holds.
        tokens: of those that it does not hold; None where the model does not say.
        seconds: to encode those, by the speed of one sample; None where nothing was timed.
        texts_per_s: that speed.
        memory_bytes: of the model and of all vectors.
        disk_bytes: that the cache will grow by.
    """

    texts: int
    distinct: int
    stored: int
    tokens: int | None
    seconds: float | None
    texts_per_s: float | None
    memory_bytes: int
    disk_bytes: int

    @property
    def missing(self) -> int:
        """Distinct texts that would have to be encoded."""
        return self.distinct - self.stored


def plan(model: Model, collection: Collection, cache: VectorCache | None) -> Plan:
    """Count and time what a run would do. A model whose texts are paid for is not timed.

    Args:
        model: from `encoders.resolve`.
        collection: from `suites.load`.
        cache: the one that the run would use.

    Raises:
        InputError: the model does not know a language of the collection, or fails on the texts that are timed.
    """
    model.language_support.check(collection.languages, model.info.id)
    sides: tuple[tuple[Role, Texts], ...] = (("query", collection.queries), ("document", collection.documents))
    texts = sum(len(side) for _, side in sides)
    retriever = model.retriever
    size = int(model.info.details.get("bytes", 0))
    if not isinstance(retriever, Encoder):
        return Plan(texts, texts, texts, 0, 0.0, None, size, 0)
    parts = [_side(model, role, distinct_texts(side), cache) for role, side in sides]
    missing = sum(len(part.missing) for part in parts)
    tokens = [part.tokens for part in parts if part.tokens is not None]
    width = int(model.info.details.get("dimensions", 0))
    rate = None
    if missing and not isinstance(retriever, PartwiseEncoder):
        longer = max(parts, key=lambda part: len(part.missing))
        rate, width = _speed(retriever, model.info, longer)
    seconds = missing / rate if rate else (0.0 if not missing else None)
    bytes_each = 2 if cache is not None and cache.stored_as == "float16" else 4
    return Plan(
        texts=texts,
        distinct=sum(len(part.distinct) for part in parts),
        stored=sum(len(part.distinct) - len(part.missing) for part in parts),
        tokens=sum(tokens) if len(tokens) == len(parts) else None,
        seconds=seconds,
        texts_per_s=rate,
        # Vectors as encoded, and a normalised copy where the similarity is cosine.
        memory_bytes=size + 4 * width * texts * (2 if model.info.similarity == "cosine" else 1),
        disk_bytes=missing * (bytes_each * width + _STORED_BESIDE) if cache is not None else 0,
    )


@dataclass(frozen=True)
class _Side:
    role: Role
    distinct: Distinct
    missing: npt.NDArray[np.int64]
    tokens: int | None

    def batch(self, info: ModelInfo, at: npt.NDArray[np.int64]) -> Batch:
        distinct = self.distinct
        columns = ([column[row] for row in at] for column in (distinct.texts, distinct.languages, distinct.ids))
        return Batch(info, self.role, *columns)


def _side(model: Model, role: Role, distinct: Distinct, cache: VectorCache | None) -> _Side:
    missing = np.arange(len(distinct))
    if cache is not None and model.info.vector_key:
        missing = np.flatnonzero(~_stored(cache.store(model.info.vector_key, role), distinct))
    side = _Side(role, distinct, missing, None)
    if not isinstance(model.retriever, Tokenising):
        return side
    counted = _evenly(missing, COUNTED)
    total = 0
    if len(counted):
        batch = side.batch(model.info, counted)
        with external_code(f"the tokenizer of {model.info.id} failed", f"on {batch}", owner=model.info.id):
            total = int(model.retriever.lengths(batch.texts, role=role, languages=batch.languages).sum())
    return _Side(role, distinct, missing, round(total * len(missing) / max(1, len(counted))))


def _stored(store: VectorStore, distinct: Distinct) -> npt.NDArray[np.bool_]:
    """Which texts have a stored vector, shape (texts,); block by block, so that their keys take no memory."""
    stored = np.zeros(len(distinct), dtype=bool)
    for begin in range(0, len(distinct), BLOCK):
        block = slice(begin, begin + BLOCK)
        stored[block] = store.contains(keys_of(distinct.texts[block], distinct.languages[block]))
    return stored


def _speed(encoder: Encoder, info: ModelInfo, side: _Side) -> tuple[float, int]:
    """Texts per second over one sample, and the width of its vectors."""
    sample = _evenly(side.missing, SAMPLE)
    # The first call of a model loads kernels and sets memory aside, which a long run does once.
    encoded(encoder, side.batch(info, sample[-8:]))
    since = perf_counter()
    vectors = encoded(encoder, side.batch(info, sample))
    return len(sample) / max(perf_counter() - since, 1e-9), vectors.shape[1]


def _evenly(rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    if len(rows) <= count:
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]
