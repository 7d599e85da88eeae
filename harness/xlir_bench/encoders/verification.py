"""Whether what is stored of a model is still what the model gives.

Fingerprints cannot see all that decides the vectors of a model that is code: files that it opens, packages, a server.
Before something that was stored is used again, a sample of the suite's own texts is encoded and compared: of each role
and language some texts, from the longest to the shortest. What differs beyond rounding is discarded with a warning.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Collection, Texts
from xlir_bench.encoders.cache import VectorCache, VectorStore, keys_of
from xlir_bench.encoders.encode import BLOCK, encode_texts, is_rounding
from xlir_bench.encoders.protocol import Encoder, Model, PartwiseEncoder, Role, Vectors

log = logging.getLogger(__name__)

PER_LANGUAGE = 6
"""Texts of each role and language that are encoded again, the longest and the shortest among them."""

_NOISE = 2e-2
"""What half precision may differ by in another batch. Beyond it, no rounding explains a difference."""

_LARGEST_SAMPLE = 256 << 20
"""Bytes of the arrays in a file of a sample: of 20 languages, 240 vectors of 64,000 dimensions."""

_LENGTHS_AT_ONCE = 65_536
_ROLES: tuple[Role, ...] = ("query", "document")

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SampleVectors:
    """Vectors of a sample, with the texts that they are of.

    Attributes:
        keys: what `cache.keys_of` gives for each text, by role; (texts,).
        vectors: by role; (texts, dimensions).
    """

    keys: Mapping[Role, npt.NDArray[np.bytes_]]
    vectors: Mapping[Role, Vectors]


class StoredCheck:
    """Compares what is stored of one model with what it gives now to a sample of some texts.

    The sample is encoded once, when it is first needed. Texts that are paid for are sampled sparingly: the longest of
    each role and language alone, and never twice.

    Args:
        model: one with vectors, whose `info.verify_stored` is set.
        sides: the texts that are to be measured, by role.
    """

    def __init__(self, model: Model, sides: Mapping[Role, Texts]) -> None:
        assert isinstance(model.retriever, Encoder)
        self._retriever: Encoder = model.retriever
        self._info, self._sides = model.info, sides
        self._paid = isinstance(model.retriever, PartwiseEncoder)
        self._known: dict[tuple[Role, int], Vectors] = {}
        self._standard: dict[Role, Rows] = {}
        self._repeats: bool | None = None
        self._noise = model.info.rounding

    @staticmethod
    def of(model: Model, collection: Collection) -> StoredCheck | None:
        """The check of a model on a collection; None where fingerprints see all that decides its vectors."""
        if not model.info.verify_stored or not isinstance(model.retriever, Encoder):
            return None
        return StoredCheck(model, {"query": collection.queries, "document": collection.documents})

    def sample(self) -> SampleVectors:
        """What the model gives now."""
        found = {role: self._encoded(role, self._rows(role)) for role in self._sides}
        keys = {role: self._keys(role, self._rows(role)) for role in self._sides}
        return SampleVectors(keys, found)

    def learn(self, role: Role, vectors: Vectors) -> None:
        """Take texts that are paid for from vectors of a whole side, just encoded or verified; (texts, dimensions)."""
        if self._paid:
            for row in self._rows(role).tolist():
                self._known.setdefault((role, row), vectors[row])

    def agrees(self, stored: SampleVectors | None) -> bool:
        """Whether stored vectors are of this sample and equal to what the model gives now, but for rounding."""
        if stored is None or set(stored.keys) != set(self._sides):
            return False
        now = self.sample()
        if any(not np.array_equal(stored.keys[role], now.keys[role]) for role in self._sides):
            return False
        return all(self._same(role, self._rows(role), stored.vectors[role]) for role in self._sides)

    def confirms(self, content: bytes | None, what: str) -> bool:
        """Whether a file with a sample has what the model gives now; see `packed_sample`.

        Args:
            content: the file's; None where there is none.
            what: is discarded where the sample differs, which a warning then says.
        """
        stored = unpacked_sample(content) if content is not None else None
        if stored is None or self.agrees(stored):
            return stored is not None
        if self.repeats():
            self.warn(what)
        return False

    def repeats(self) -> bool:
        """Whether the model gives the same vectors when it is asked twice; a warning says where it does not."""
        if self._repeats is None:
            self._repeats = self._paid or all(self._same_again(role) for role in self._sides)
            if not self._repeats:
                log.warning(
                    "%s gives other vectors when the same texts are encoded again: its figures hold for this run "
                    "alone, and none of its vectors are stored; is a random part of it active, such as dropout?",
                    self._info.id,
                )
        return self._repeats

    def usable(self, cache: VectorCache | None) -> VectorCache | None:
        """The cache, without what it held of the model if that is stale; None if the model does not repeat itself."""
        if cache is None or not self._info.vector_key:
            return cache
        stores = {role: cache.store(self._info.vector_key, role) for role in self._sides}
        held = {role: self._stored(role, store) for role, store in stores.items()}
        agree = all(self._same(role, rows, vectors) for role, (rows, vectors) in held.items())
        if agree and all(len(rows) for rows, _ in held.values()):
            return cache
        if not self.repeats():
            self._discard(cache)
            return None
        if not agree:
            self.warn(f"the vectors stored in {cache.folder}")
            self._discard(cache)
        return cache

    def warn(self, what: str) -> None:
        """Say that something stored is discarded.

        Args:
            what: it, in the plural.
        """
        log.warning(
            "%s gives other vectors than those that were stored of it, though its fingerprint is the same: %s are "
            "discarded, and it is measured anew",
            self._info.id,
            what,
        )

    def _discard(self, cache: VectorCache) -> None:
        for role in _ROLES:
            cache.store(self._info.vector_key, role).discard()

    def _stored(self, role: Role, store: VectorStore) -> tuple[Rows, Vectors]:
        """Some of the texts that a store holds, with their vectors."""
        texts = self._sides[role]
        found: list[Rows] = []
        if len(store):
            for begin in range(0, len(texts), BLOCK):
                keys = self._keys(role, np.arange(begin, min(begin + BLOCK, len(texts))))
                found.append(begin + np.flatnonzero(store.contains(keys)))
        rows = self._chosen(role, np.concatenate(found) if found else np.empty(0, np.int64))
        at, vectors = store.find(self._keys(role, rows))
        return rows[at], vectors

    def _keys(self, role: Role, rows: Rows) -> npt.NDArray[np.bytes_]:
        texts = self._sides[role]
        at = rows.tolist()
        return keys_of([texts.texts[row] for row in at], [texts.languages[row] for row in at])

    def _rows(self, role: Role) -> Rows:
        if role not in self._standard:
            self._standard[role] = self._chosen(role, None)
        return self._standard[role]

    def _chosen(self, role: Role, among: Rows | None) -> Rows:
        """Texts of every language, evenly from the longest to the shortest; ascending positions."""
        texts = self._sides[role]
        found = []
        for rows in texts.rows_by_language.values():
            own = rows if among is None else np.intersect1d(rows, among, assume_unique=True)
            if len(own):
                longest_first = own[np.argsort(-_lengths(texts.texts, own), kind="stable")]
                places = np.linspace(0, len(own) - 1, 1 if self._paid else PER_LANGUAGE)
                found.append(longest_first[np.unique(places.round().astype(np.int64))])
        return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)

    def _encoded(self, role: Role, rows: Rows) -> Vectors:
        """What the model gives to some texts, each encoded once; (texts, dimensions)."""
        missing = [row for row in rows.tolist() if (role, row) not in self._known]
        if missing:
            for row, vector in zip(missing, self._fresh(role, missing), strict=True):
                self._known[role, row] = vector
        return (
            np.stack([self._known[role, row] for row in rows.tolist()]) if len(rows) else np.empty((0, 0), np.float32)
        )

    def _fresh(self, role: Role, rows: Sequence[int]) -> Vectors:
        texts = self._sides[role]
        chosen = Texts(*([column[row] for row in rows] for column in (texts.ids, texts.texts, texts.languages)))
        return encode_texts(self._retriever, self._info, chosen, role).vectors

    def _same_again(self, role: Role) -> bool:
        rows = self._rows(role)
        first, again = self._encoded(role, rows), self._fresh(role, rows.tolist())
        return first.shape == again.shape and _equal(first, again, self._info.rounding)

    def _same(self, role: Role, rows: Rows, stored: Vectors) -> bool:
        """Whether stored vectors of some texts are what the model gives now."""
        if not len(rows):
            return True
        now = self._encoded(role, rows)
        if stored.shape != now.shape:
            return False
        if _equal(stored, now, self._noise):
            return True
        if self._paid or not _equal(stored, now, _NOISE):
            return False
        # Rounding, perhaps: in another batch a model may round differently by much more than in float32 on a CPU.
        alone = np.concatenate([self._fresh(role, [row]) for row in rows.tolist()])
        largest = np.linalg.norm(alone - now, axis=1) / np.maximum(np.linalg.norm(now, axis=1), 1e-30)
        self._noise = max(self._noise, min(2 * float(largest.max()), _NOISE))
        return _equal(stored, now, self._noise)


def packed_sample(sample: SampleVectors) -> bytes:
    """A sample as the content of a file."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for role, keys in sample.keys.items():
        # As bytes: numpy takes zeros at the end of a key for padding.
        arrays[f"{role}_keys"] = np.frombuffer(keys.astype("S16").tobytes(), np.uint8)
        arrays[f"{role}_vectors"] = sample.vectors[role]
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def unpacked_sample(content: bytes) -> SampleVectors | None:
    """The sample in a file's content; None where it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_SAMPLE:
                return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            keys = {role: np.frombuffer(arrays[f"{role}_keys"].tobytes(), "S16") for role in _ROLES}
            vectors = {role: arrays[f"{role}_vectors"] for role in _ROLES}
    except Exception:  # readers of damaged files raise whatever they run into
        return None
    if any(v.ndim != 2 or v.dtype.kind != "f" or len(v) != len(keys[role]) for role, v in vectors.items()):
        return None
    return SampleVectors(keys, {role: found.astype(np.float32) for role, found in vectors.items()})


def _equal(stored: Vectors, now: Vectors, bound: float) -> bool:
    return all(is_rounding(one, other, bound) for one, other in zip(stored, now, strict=True))


def _lengths(column: Sequence[str], rows: Rows) -> Rows:
    """Characters of some texts of a column, which may lie on disk; rows ascend."""
    found = np.empty(len(rows), np.int64)
    at = 0
    while at < len(rows):
        begin = int(rows[at])
        stop = int(np.searchsorted(rows, begin + _LENGTHS_AT_ONCE))
        texts = column[begin : int(rows[stop - 1]) + 1]
        found[at:stop] = [len(texts[row - begin]) for row in rows[at:stop].tolist()]
        at = stop
    return found
