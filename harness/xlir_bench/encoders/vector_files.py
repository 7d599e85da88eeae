"""The files that hold the vectors of one model and role: how they are named, read, appended to and found.

A pair of files holds any number of vectors of one width. Row i of one file belongs to row i of the other:

    <host>-<unique name>-<width>.keys    20 bytes a row: the key (16 bytes) and a checksum (4 bytes)
    <host>-<unique name>-<width>.rows    the vectors, float32 or float16, little-endian

Neither file has a header, and both only grow, so a file that was cut short still holds its first rows. `encoders.cache`
says what is guaranteed and why the format is this one.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import platform
import re
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

METADATA = "model.json"
UNFINISHED = re.compile(r"[0-9a-f]{32}\.unfinished")
"""Metadata that is being written; earlier versions wrote vectors under such names too."""

OLD_SEGMENT = re.compile(r"[0-9a-f]{32}\.vectors")
"""A file of vectors in the layout of earlier versions, one file per block, which is no longer read."""

FINGERPRINT = re.compile(r"[0-9a-f]{16,128}")
"""The name of a model's folder."""

_PAIR = re.compile(r"(?P<stem>(?P<host>[0-9a-f]{8})-[0-9a-f]{32}-(?P<width>[1-9][0-9]{0,8}))\.(?:keys|rows)")
_ROW = np.dtype([("high", "<u8"), ("low", "<u8"), ("check", "<u4")])  # the key's two halves
_ATTEMPTS = 5

Keys = npt.NDArray[np.bytes_]
Rows = npt.NDArray[np.int64]
Checks = npt.NDArray[np.uint32]


@cache
def this_host() -> str:
    """Eight hexadecimal digits that stand for this machine in the names of the files that it made."""
    return hashlib.sha256(f"{platform.node()} {uuid.getnode()}".encode()).hexdigest()[:8]


def is_pair_file(name: str) -> bool:
    """Whether a file is called as one of a pair is."""
    return _PAIR.fullmatch(name) is not None


@dataclass(frozen=True)
class FilePair:
    """Two files that hold vectors of one width.

    Attributes:
        keys: the file of keys and checksums.
        rows: the file of vectors.
        host: which machine made them, see `this_host`.
        width: dimensions of a vector.
    """

    keys: Path
    rows: Path
    host: str
    width: int

    @classmethod
    def new(cls, folder: Path, width: int) -> FilePair:
        """A pair with a name of its own, of this host; no file is made."""
        return cls._called(folder, f"{this_host()}-{uuid.uuid4().hex}-{width}", this_host(), width)

    @classmethod
    def all_of(cls, folder: Path) -> list[FilePair]:
        """The pairs in a folder, by name; none if the folder cannot be read. Links are passed over."""
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        except OSError:
            return []
        found = [match for name in names if name.endswith(".keys") and (match := _PAIR.fullmatch(name))]
        return [cls._called(folder, match["stem"], match["host"], int(match["width"])) for match in found]

    @classmethod
    def _called(cls, folder: Path, stem: str, host: str, width: int) -> FilePair:
        return cls(folder / f"{stem}.keys", folder / f"{stem}.rows", host, width)

    def count(self) -> int:
        """How many vectors the pair holds; 0 if it is out of reach."""
        try:
            return self.keys.stat().st_size // _ROW.itemsize
        except OSError:
            return 0

    def written(self) -> int:
        """When a vector was last added, in nanoseconds since the epoch; 0 if the pair is out of reach."""
        try:
            return self.keys.stat().st_mtime_ns
        except OSError:
            return 0

    def read_keys(self) -> npt.NDArray[np.void]:
        """Keys and checksums of all whole rows; none if the file cannot be read."""
        try:
            with self.keys.open("rb") as file:
                count = os.fstat(file.fileno()).st_size // _ROW.itemsize
                return np.fromfile(file, _ROW, count)
        except OSError:
            return np.empty(0, _ROW)

    def read(self, rows: Rows, dtype: np.dtype[Any]) -> tuple[npt.NDArray[np.floating], Checks]:
        """Vectors as they are stored, and their checksums now.

        Args:
            rows: which, in any order, shape (vectors,).
            dtype: float32 or float16, little-endian.

        Returns:
            Shapes (vectors, width) and (vectors,). What cannot be read is zero.
        """
        order = np.argsort(rows)
        ascending = rows[order]
        vectors = np.zeros((len(rows), self.width), dtype)
        starts = [0, *(np.flatnonzero(np.diff(ascending) != 1) + 1).tolist(), len(rows)]
        with contextlib.suppress(OSError), self.rows.open("rb", buffering=0) as file:
            for start, stop in itertools.pairwise(starts):
                wanted = vectors[start:stop].data.cast("B")
                file.seek(int(ascending[start]) * self.width * dtype.itemsize)
                _read_into(file, wanted)
        if len(starts) > 2 or (np.diff(order) != 1).any():
            back = np.empty_like(order)
            back[order] = np.arange(len(order))
            vectors = vectors[back]
        return vectors, _checksums(vectors)

    def remove(self) -> None:
        """Delete both files.

        Raises:
            OSError: one is there and cannot be deleted.
        """
        self.keys.unlink(missing_ok=True)
        self.rows.unlink(missing_ok=True)


class Index:
    """Where the vectors of keys lie: 28 bytes in memory per stored vector.

    Args:
        parts: keys and checksums of each pair, from `FilePair.read_keys`. Rows are numbered through all pairs.
    """

    def __init__(self, parts: Sequence[npt.NDArray[np.void]]) -> None:
        stored = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, _ROW), *parts])
        self._row = np.lexsort((stored["low"], stored["high"]))
        self._high = stored["high"][self._row]
        self._low = stored["low"][self._row]
        self._check = (stored["check"] ^ _folded(stored))[self._row]

    def __len__(self) -> int:
        """Number of distinct keys."""
        differs = (self._high[1:] != self._high[:-1]) | (self._low[1:] != self._low[:-1])
        return int(np.count_nonzero(differs)) + bool(len(self._high))

    def candidates(self, keys: Keys, done: npt.NDArray[np.bool_]) -> Iterator[tuple[Rows, Rows, Checks]]:
        """First the first row of every key, then the second of those that are not done yet, and so on.

        A key has more than one row where two processes encoded the same text, or where the first was damaged.

        Args:
            keys: shape (keys,).
            done: which keys need no further row, shape (keys,); the caller may change it between steps.

        Yields:
            Positions in `keys`, the row of each, and the checksum that its vector must have.
        """
        halves = _halves(keys)
        place = np.searchsorted(self._high, halves["high"])
        asked = np.arange(len(keys))
        while True:
            asked = asked[~done[asked] & (place[asked] < len(self._high))]
            asked = asked[self._high[place[asked]] == halves["high"][asked]]
            if not len(asked):
                return
            same = asked[self._low[place[asked]] == halves["low"][asked]]
            if len(same):
                yield same, self._row[place[same]], self._check[place[same]]
            place[asked] += 1


class Appender:
    """A pair of files to which this object alone appends.

    A pair that this host made before is taken on if no other process has it; else a new one is made. A pair is held by
    an advisory lock, which ends with the process. Where there are no locks (some network file systems), every appender
    makes a pair of its own, and pairs of other hosts are never appended to, so locks need not reach across hosts.

    Args:
        folder: of the pair; it is made if it is not there.
        width: dimensions of the vectors.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self._process = os.getpid()
        self.pair, self._keys, self._rows = _claimed(folder, width)

    def holds(self) -> bool:
        """Whether the files are still in their place, and were claimed by this process rather than one it came from."""
        return self._process == os.getpid() and _in_place(self.pair, self._keys, self._rows)

    def append(self, keys: Keys, vectors: npt.NDArray[np.floating]) -> None:
        """Add vectors, durably: a key is written only after its vector has reached the disk.

        Args:
            keys: shape (vectors,).
            vectors: as they are to be stored, shape (vectors, width).

        Raises:
            OSError: they could not be written; the pair is as it was before.
        """
        vectors = np.ascontiguousarray(vectors)
        added = np.empty(len(keys), _ROW)
        halves = _halves(keys)
        added["high"], added["low"] = halves["high"], halves["low"]
        added["check"] = _checksums(vectors) ^ _folded(added)
        count = os.fstat(self._keys.fileno()).st_size // _ROW.itemsize
        row_bytes = vectors.itemsize * self.pair.width
        try:
            _write_at(self._rows, count * row_bytes, vectors.data.cast("B"))
            _write_at(self._keys, count * _ROW.itemsize, added.view(np.uint8).data)
        except OSError:
            with contextlib.suppress(OSError):
                self._keys.truncate(count * _ROW.itemsize)
                self._rows.truncate(count * row_bytes)
                if not count:
                    self.pair.remove()
            raise

    def close(self) -> None:
        """Let other processes have the pair."""
        self._keys.close()
        self._rows.close()


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """What a model's folder says of the model, or None if it has no metadata of ours."""
    path = folder / METADATA
    try:
        if path.is_symlink():
            return None
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "id" in content else None


def write_metadata(folder: Path, metadata: Mapping[str, str | None]) -> None:
    """Say in a model's folder what the model is called. Several processes may do so at once.

    Raises:
        OSError: the file cannot be written.
    """
    unfinished = folder / f"{uuid.uuid4().hex}.unfinished"
    try:
        unfinished.write_text(json.dumps({"id": None, "name": None, "revision": None, **metadata}) + "\n", "utf-8")
        unfinished.replace(folder / METADATA)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def _claimed(folder: Path, width: int) -> tuple[FilePair, FileIO, FileIO]:
    for pair in FilePair.all_of(folder):
        if pair.width == width and pair.host == this_host():
            with contextlib.suppress(OSError):
                files = _opened(pair, "r+b")
                if files is not None:
                    return (pair, *files)
    for attempt in itertools.count(1):
        folder.mkdir(parents=True, exist_ok=True)
        pair = FilePair.new(folder, width)
        try:
            files = _opened(pair, "x+b")
        except FileNotFoundError:  # the folder was removed by another process just now
            if attempt == _ATTEMPTS:
                raise
            continue
        if files is not None:
            return (pair, *files)
    raise AssertionError("unreachable")


def _opened(pair: FilePair, mode: str) -> tuple[FileIO, FileIO] | None:
    """Both files, locked; None if another process has them, or if an existing pair cannot be locked."""
    keys = FileIO(pair.keys, mode)
    try:
        rows = FileIO(pair.rows, mode)
    except BaseException:
        keys.close()
        raise
    alone = _locked(keys)
    if (alone or (alone is None and mode == "x+b")) and _in_place(pair, keys, rows):
        return keys, rows
    keys.close()
    rows.close()
    return None


def _locked(file: FileIO) -> bool | None:
    """True if the file is now locked by us, False if it is by another; None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _in_place(pair: FilePair, keys: FileIO, rows: FileIO) -> bool:
    """Whether the open files are the ones that lie at the pair's paths: another process may have removed them."""
    try:
        return all(
            os.path.samestat(path.lstat(), os.fstat(file.fileno()))
            for path, file in ((pair.keys, keys), (pair.rows, rows))
        )
    except OSError:
        return False


def _read_into(file: FileIO, buffer: memoryview) -> None:
    """Fill the buffer as far as the file goes."""
    while len(buffer) and (count := file.readinto(buffer)):
        buffer = buffer[count:]


def _write_at(file: FileIO, position: int, content: memoryview) -> None:
    file.seek(position)
    while len(content):
        content = content[file.write(content) :]
    os.fsync(file.fileno())


def _halves(keys: Keys) -> npt.NDArray[np.void]:
    return np.ascontiguousarray(keys, "S16").view(np.dtype([("high", "<u8"), ("low", "<u8")]))


def _folded(rows: npt.NDArray[np.void]) -> Checks:
    """32 bits of each key, by which its checksum is changed: a vector that is sound but another key's is not taken."""
    return (rows["low"] & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def _checksums(vectors: npt.NDArray[np.floating]) -> Checks:
    return np.fromiter((zlib.crc32(row) for row in vectors), np.uint32, len(vectors))
