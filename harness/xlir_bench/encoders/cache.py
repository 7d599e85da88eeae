"""Vectors on disk, stored by what they were made of and from: a text is encoded once, however often it is measured.

Layout:

    <folder>/vectors/<model fingerprint>/model.json                          id, name and revision, for people
    <folder>/vectors/<model fingerprint>/<role>[-float16]/<name>.keys|.rows  pairs of files, see `vector_files`

Guarantees:

- Storing is a convenience, never a condition: where the disk is full or the folder cannot be written, one warning is
  logged and the run goes on.
- A vector is returned only if its checksum, which covers its key, is right. A torn write, a changed bit or another
  program's file costs only the vectors that it hit, and these are encoded again.
- A block is on disk when `add` returns. A process that is killed loses the block that it is adding, at most.
- Any number of processes may read, add, discard and prune at once. Nobody waits: a process appends to a pair of files
  that no other one appends to. A process whose files are removed by another one goes on: it encodes again what it no
  longer finds, and adds to new files.
- float16 and float32 are kept apart. All vectors that are found have one width: that of the pair last written.
- Open files: none for reading between two calls, two for adding, whatever the number of blocks, vectors and processes.
- Memory: 28 bytes per stored vector while a store is open; vectors are read when they are asked for.

Why neither SQLite nor LMDB: `benchmarks/vector_cache.py` runs both beside this layout. Vectors have one size, are
never changed and are mostly read in the order in which they were written, which plain files serve well. Both
databases took longer to read a million vectors, and about seven times as long to add them in blocks of 2,048; LMDB
takes 1.8 times the space and needs its greatest size to be known beforehand. One changed byte in an inner page makes
many vectors or the whole file of a database unreadable, and both need locks that work, which network file systems may
not have. The price of the layout here is a second fsync for each block, and 28 bytes of memory for each vector.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.encoders.vector_files import (
    FINGERPRINT,
    METADATA,
    Appender,
    Checks,
    FilePair,
    Index,
    Keys,
    Rows,
    read_metadata,
    write_metadata,
)
from xlir_bench.errors import InputError
from xlir_bench.files import cache_folder

log = logging.getLogger(__name__)

StoredAs = Literal["float32", "float16"]

_TYPE: Mapping[StoredAs, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


def default_folder() -> Path:
    """See `files.cache_folder`."""
    return cache_folder()


def keys_of(texts: Sequence[str], languages: Sequence[str]) -> Keys:
    """The first 16 bytes of each (language, text)'s SHA-256, shape (texts,)."""

    def key(text: str, language: str) -> bytes:
        # The language comes first and ends with a byte that UTF-8 never uses, so no two pairs spell the same bytes.
        content = language.encode() + b"\xff" + text.encode("utf-8", "surrogatepass")
        return hashlib.sha256(content).digest()[:16]

    return np.fromiter((key(text, code) for text, code in zip(texts, languages, strict=True)), "S16", len(texts))


def rounded_to(vectors: Vectors, stored_as: StoredAs) -> Vectors:
    """Vectors as they are after they were stored, shape (texts, dimensions), float32.

    Raises:
        InputError: a number is too large for float16.
    """
    if stored_as == "float32":
        return vectors
    with np.errstate(over="ignore"):
        kept: Vectors = vectors.astype(np.float16).astype(np.float32)
    if not np.isfinite(kept).all():
        raise InputError("a vector has a number beyond 65,504, which float16 cannot hold: store float32")
    return kept


class VectorCache:
    """A folder of vectors of many models.

    Args:
        folder: where to keep vectors; `default_folder()` if none is given. It is made when something is stored.
        stored_as: the type of the numbers. With float16 a run uses rounded vectors throughout, those that it has just
            computed too, so that its scores do not depend on what was stored before.
    """

    def __init__(self, folder: Path | None = None, stored_as: StoredAs = "float32") -> None:
        self.folder = Path(folder) if folder is not None else default_folder()
        self.stored_as = stored_as
        self.writable = True

    @property
    def models(self) -> Path:
        """The folder that has one folder for each model."""
        return self.folder / "vectors"

    def store(self, fingerprint: str, role: Role, metadata: Mapping[str, str | None] | None = None) -> VectorStore:
        """The vectors that one model gave to texts of one role, as they are on disk now.

        Args:
            fingerprint: `ModelInfo.fingerprint`; never a name.
            role: queries and documents are kept apart, for a model may prompt them differently.
            metadata: id, name and revision of the model, for people who look into the cache.
        """
        plain = FINGERPRINT.fullmatch(fingerprint)
        model = self.models / (fingerprint if plain else hashlib.sha256(fingerprint.encode()).hexdigest())
        return VectorStore(
            self, model / (role if self.stored_as == "float32" else f"{role}-{self.stored_as}"), metadata
        )

    def stop_storing(self, error: OSError) -> None:
        """Warn that nothing can be stored, and store nothing from now on."""
        if self.writable:
            log.warning("vectors are not stored in %s: %s; the run goes on without storing", self.folder, error)
        self.writable = False


class VectorStore:
    """The stored vectors of one model and role: what was there when it was opened, and a place to add to.

    Made by `VectorCache.store`. It may be used by several threads.
    """

    def __init__(self, cache: VectorCache, folder: Path, metadata: Mapping[str, str | None] | None = None) -> None:
        self._cache = cache
        self._folder = folder
        self._metadata = metadata or {}
        self._dtype = _TYPE[cache.stored_as]
        self._appender: Appender | None = None
        self._adding = threading.Lock()
        pairs = [pair for pair in FilePair.all_of(folder) if pair.count()]
        self._width = max(pairs, key=lambda pair: pair.written()).width if pairs else 0
        self._open([pair for pair in pairs if pair.width == self._width])
        if pairs:
            self._mark_used(repair=metadata is not None)

    def __len__(self) -> int:
        """Number of distinct keys that were stored when this was opened."""
        return len(self._index)

    def contains(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which keys were stored when this was opened; no vector is read, so a damaged one counts as stored.

        Args:
            keys: what `keys_of` gave, shape (texts,).

        Returns:
            Shape (texts,).
        """
        stored = np.zeros(len(keys), dtype=bool)
        for asked, _, _ in self._index.candidates(keys, stored):
            stored[asked] = True
        return stored

    def find(self, keys: Keys) -> tuple[npt.NDArray[np.int64], Vectors]:
        """The stored vectors among those asked for.

        Args:
            keys: what `keys_of` gave, shape (texts,).

        Returns:
            Positions in `keys` of what is stored, ascending, shape (found,), and vectors, shape (found, dimensions).
        """
        sound = np.zeros(len(keys), dtype=bool)
        vectors: Vectors = np.empty((len(keys), self._width), np.float32)
        for asked, rows, checks in self._index.candidates(keys, sound):
            read, sound[asked] = self._read(rows, checks)
            if len(asked) == len(keys):
                vectors = read
            else:
                vectors[asked] = read
        return np.flatnonzero(sound), vectors if sound.all() else vectors[sound]

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Store one block, or warn once that nothing can be stored. `find` shows it when the store is opened again.

        Args:
            keys: shape (texts,).
            vectors: shape (texts, dimensions).
        """
        if not self._cache.writable or not len(keys):
            return
        try:
            with self._adding:
                self._appending_to(vectors.shape[1]).append(keys, vectors.astype(self._dtype, copy=False))
                self._mark_used()
        except OSError as error:
            self._cache.stop_storing(error)

    def discard(self) -> None:
        """Remove everything that is stored for this model and role, in float32 or float16 as this store is.

        What cannot be removed is named in a warning, and this store finds nothing from now on all the same.
        """
        with self._adding:
            if self._appender is not None:
                self._appender.close()
                self._appender = None
            for pair in FilePair.all_of(self._folder):
                try:
                    pair.remove()
                except OSError as error:
                    log.warning("%s holds vectors that no longer hold good and cannot be removed: %s", pair.keys, error)
            self._open([])

    def rounded(self, vectors: Vectors) -> Vectors:
        """The vectors as they will be read again, shape (texts, dimensions), float32.

        Raises:
            InputError: a number is too large for float16.
        """
        return rounded_to(vectors, self._cache.stored_as)

    def _open(self, pairs: list[FilePair]) -> None:
        parts = [pair.read_keys() for pair in pairs]
        self._pairs = pairs
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self._index = Index(parts)

    def _read(self, rows: Rows, checks: Checks) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Vectors in rows that are numbered through all pairs, and whether each has its checksum."""
        if len(self._pairs) == 1:
            vectors, now = self._pairs[0].read(rows, self._dtype)
            return vectors.astype(np.float32, copy=False), now == checks
        several = np.zeros((len(rows), self._width), np.float32)
        sound = np.zeros(len(rows), dtype=bool)
        pair_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(pair_of):
            mine = np.flatnonzero(pair_of == number)
            several[mine], now = self._pairs[number].read(rows[mine] - self._starts[number], self._dtype)
            sound[mine] = now == checks[mine]
        return several, sound

    def _appending_to(self, width: int) -> Appender:
        if self._appender is None or self._appender.pair.width != width or not self._appender.holds():
            self._appender = Appender(self._folder, width)
        return self._appender

    def _mark_used(self, repair: bool = True) -> None:
        """Set the time of the metadata, by which models are pruned.

        Args:
            repair: whether to write metadata that are missing or torn: a process that was killed did not come to it, or
                another one prunes. A failure is no reason to store nothing, since the next block tries again.
        """
        model = self._folder.parent
        with contextlib.suppress(OSError):
            if repair and read_metadata(model) is None and not (model / METADATA).is_symlink():
                write_metadata(model, self._metadata)
            else:
                os.utime(model / METADATA)
