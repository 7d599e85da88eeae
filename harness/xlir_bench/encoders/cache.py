"""Vectors on disk, stored by what they were made of and from: a text is encoded once, however often it is measured.

    <folder>/vectors/<model fingerprint>/<role>[-float16]/<unique name>.vectors

Each file is a segment that never changes once it has its name: a header (8 bytes of magic, rows, dimensions), a key and
a checksum per row, and the vectors, float32 or float16, little-endian, which are memory-mapped. A folder holds one of
the two kinds, so that a run never mixes them. A segment is written under another name, synced and renamed, and its name
is unique; so any number of processes may read and write at once without a lock, and one that is killed leaves a file
that nobody reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import struct
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.errors import InputError
from xlir_bench.files import cache_folder

log = logging.getLogger(__name__)

_SEGMENT = ".vectors"
_UNFINISHED = ".unfinished"
_ABANDONED_AFTER_S = 24 * 3600.0
_MAGIC = {"float32": b"xlirvec1", "float16": b"xlirvech"}
_TYPE: Mapping[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
CARD = "model.json"
_HEADER = struct.Struct("<8sQI")
_ROW = np.dtype([("key", "S16"), ("check", "<u4")])

Keys = npt.NDArray[np.bytes_]
StoredAs = Literal["float32", "float16"]


def default_folder() -> Path:
    """See `files.cache_folder`."""
    return cache_folder()


def keys_of(texts: Sequence[str], languages: Sequence[str]) -> Keys:
    """The first 16 bytes of each (language, text)'s SHA-256, shape (texts,)."""

    def key(text: str, language: str) -> bytes:
        # The language comes first and ends with a byte that UTF-8 never uses, so no two pairs spell the same bytes.
        content = language.encode() + b"\xff" + text.encode("utf-8", "surrogatepass")
        return hashlib.sha256(content).digest()[:16]

    return np.array([key(text, code) for text, code in zip(texts, languages, strict=True)], dtype="S16")


class VectorCache:
    """A folder of vectors of many models.

    Storing is a convenience, never a condition: where the disk is full or the folder cannot be written, one warning is
    logged and the run goes on. A segment that is torn, or that something else wrote, is passed over.

    Args:
        folder: where to keep vectors; `default_folder()` if none is given. It is made when something is stored.
        stored_as: the type of the numbers. With float16 a run uses rounded vectors throughout, those that it has just
            computed too, so that its scores do not depend on what was stored before.
    """

    def __init__(self, folder: Path | None = None, stored_as: StoredAs = "float32") -> None:
        self.folder = Path(folder) if folder is not None else default_folder()
        self.stored_as = stored_as
        self._writable = True

    def shelf(self, fingerprint: str, role: Role, card: Mapping[str, str | None] | None = None) -> Shelf:
        """The vectors that one model gave to texts of one role, as they are on disk now.

        Args:
            fingerprint: `ModelInfo.fingerprint`; never a name.
            role: queries and documents are kept apart, for a model may prompt them differently.
            card: what the model is called, for people who look into the cache; written beside the vectors.
        """
        plain = re.fullmatch(r"[0-9a-f]{16,128}", fingerprint)
        name = fingerprint if plain else hashlib.sha256(fingerprint.encode()).hexdigest()
        model = self.folder / "vectors" / name
        with contextlib.suppress(OSError):
            # The card's time is when the model was last used, which is what pruning by age goes by.
            os.utime(model / CARD)
        return Shelf(self, model / (role if self.stored_as == "float32" else f"{role}-{self.stored_as}"), card)

    def store(self, folder: Path, keys: Keys, vectors: Vectors, card: Mapping[str, str | None] | None = None) -> None:
        """Write one segment into `folder`, or warn once that nothing can be stored."""
        if not self._writable or not len(keys):
            return
        try:
            if card is not None and not (folder.parent / CARD).exists():
                _write_card(folder.parent / CARD, card)
            _write(folder, keys, vectors, self.stored_as)
        except OSError as error:
            self._writable = False
            log.warning("vectors are not stored in %s: %s; the run goes on without storing", self.folder, error)


class Shelf:
    """The stored vectors of one model and role: a snapshot taken when it was opened, and a place to add to."""

    def __init__(self, cache: VectorCache, folder: Path, card: Mapping[str, str | None] | None = None) -> None:
        self._cache = cache
        self._folder = folder
        self._card = card
        self._segments = list(_segments(folder))
        sizes = [len(segment.rows) for segment in self._segments]
        keys = np.concatenate([np.empty(0, "S16"), *(segment.rows["key"] for segment in self._segments)])
        order = np.argsort(keys, kind="stable")
        self._keys: Keys = keys[order]
        self._segment_at = np.repeat(np.arange(len(sizes)), sizes)[order]
        self._row_at = np.concatenate([np.empty(0, np.int64), *(np.arange(size) for size in sizes)])[order]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: Keys) -> tuple[npt.NDArray[np.int64], Vectors]:
        """The stored vectors among those asked for.

        Args:
            keys: what `keys_of` gave, shape (texts,).

        Returns:
            Positions in `keys` of what is stored, ascending, shape (found,), and vectors, shape (found, dimensions).
        """
        at = np.searchsorted(self._keys, keys)
        at[at == len(self._keys)] = 0
        hits = np.flatnonzero(self._keys[at] == keys) if len(self) else np.empty(0, np.int64)
        if not len(hits):
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        places = at[hits]
        vectors = np.empty((len(hits), self._segments[0].vectors.shape[1]), np.float32)
        sound = np.zeros(len(hits), dtype=bool)
        for number in np.unique(self._segment_at[places]):
            mine = np.flatnonzero(self._segment_at[places] == number)
            vectors[mine], sound[mine] = self._segments[number].read(self._row_at[places[mine]])
        return hits[sound], vectors[sound]

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Store one block; this snapshot does not show it.

        Args:
            keys: shape (texts,).
            vectors: shape (texts, dimensions).
        """
        self._cache.store(self._folder, keys, vectors, self._card)

    def discard(self) -> None:
        """Remove all vectors of this model and role."""
        for path in self._folder.glob(f"*{_SEGMENT}"):
            _remove(path)
        self._keys = self._keys[:0]

    def rounded(self, vectors: Vectors) -> Vectors:
        """The vectors as they will be read again, shape (texts, dimensions), float32.

        Raises:
            InputError: a number is too large for float16.
        """
        if self._cache.stored_as == "float32":
            return vectors
        with np.errstate(over="ignore"):
            kept: Vectors = vectors.astype(np.float16).astype(np.float32)
        if not np.isfinite(kept).all():
            raise InputError("a vector has a number beyond 65,504, which float16 cannot hold: store float32")
        return kept


@dataclass(frozen=True)
class _Segment:
    rows: npt.NDArray[np.void]
    vectors: npt.NDArray[np.floating]

    def read(self, at: npt.NDArray[np.int64]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Rows `at`, and whether each has the right checksum: disks lose bits, and a wrong vector would go unseen."""
        stored = np.ascontiguousarray(self.vectors[at])
        checks = np.fromiter((zlib.crc32(row) for row in stored), np.uint32, len(stored))
        return stored.astype(np.float32, copy=False), checks == self.rows["check"][at]


def _segments(folder: Path) -> Iterator[_Segment]:
    """Every whole segment of `folder`, all of one width; what is torn or abandoned is cleared away."""
    width: int | None = None
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return
    for path in paths:
        if path.suffix == _UNFINISHED:
            _clear_if_abandoned(path)
        if path.suffix != _SEGMENT:
            continue
        segment = _opened(path)
        if segment is None:
            continue
        width = width or segment.vectors.shape[1]
        if segment.vectors.shape[1] == width:
            yield segment


def _opened(path: Path) -> _Segment | None:
    """The segment in `path`. One that is torn is removed, for nothing could ever read it; one out of reach is left."""
    try:
        with path.open("rb") as file:
            segment = _parsed(path, file)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.debug("%s cannot be read: %s", path, error)
        return None
    except (ValueError, struct.error) as error:
        log.debug("%s is no segment and is removed: %s", path, error)
        _remove(path)
        return None
    return segment


def _parsed(path: Path, file: BinaryIO) -> _Segment:
    magic, count, width = _HEADER.unpack(file.read(_HEADER.size))
    start = _HEADER.size + count * _ROW.itemsize
    kind = next((kind for kind, begin in _MAGIC.items() if begin == magic), None)
    if kind is None or not count or not width:
        raise ValueError("not the beginning of a segment")
    dtype = _TYPE[kind]
    if os.fstat(file.fileno()).st_size != start + dtype.itemsize * count * width:
        raise ValueError("cut short")
    rows = np.frombuffer(file.read(count * _ROW.itemsize), dtype=_ROW)
    return _Segment(rows, np.memmap(path, dtype=dtype, mode="r", offset=start, shape=(count, width)))


def _write_card(path: Path, card: Mapping[str, str | None]) -> None:
    """Several processes may write the same card at once; whichever is last is as good as the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{uuid.uuid4().hex}{_UNFINISHED}")
    unfinished.write_text(json.dumps(dict(card)) + "\n", "utf-8")
    unfinished.replace(path)


def _write(folder: Path, keys: Keys, vectors: Vectors, stored_as: StoredAs) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    unfinished, finished = folder / f"{name}{_UNFINISHED}", folder / f"{name}{_SEGMENT}"
    stored = np.ascontiguousarray(vectors, dtype=_TYPE[stored_as])
    rows = np.empty(len(keys), dtype=_ROW)
    rows["key"] = keys
    rows["check"] = np.fromiter((zlib.crc32(row) for row in stored), np.uint32, len(stored))
    try:
        with unfinished.open("xb") as file:
            file.write(_HEADER.pack(_MAGIC[stored_as], *stored.shape))
            file.write(rows.tobytes())
            file.write(stored.data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(finished)
    except BaseException:
        _remove(unfinished)
        raise


def _clear_if_abandoned(path: Path) -> None:
    """Remove what a killed process left, long enough ago that no living one can still be writing it."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
            path.unlink()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
