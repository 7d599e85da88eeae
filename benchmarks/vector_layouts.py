"""Layouts of stored vectors that `vector_cache.py` compares: each has `add`, `find` and `close`, keys of 16 bytes.

All of them check each vector with a CRC-32 and have a block on disk when `add` returns.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from xlir_bench.encoders.cache import VectorCache

Found = tuple[Any, Any]  # positions and vectors


def _split(keys: Any) -> list[bytes]:
    joined = keys.tobytes()
    return [joined[at : at + 16] for at in range(0, len(joined), 16)]


def _checks(vectors: Any) -> Any:
    return np.fromiter((zlib.crc32(row) for row in vectors), np.uint32, len(vectors))


class Package:
    """What xlir-bench does: a pair of growing files, see `xlir_bench.encoders.cache`."""

    def __init__(self, folder: Path, width: int) -> None:
        self.store = VectorCache(folder).store("ab" * 32, "query")

    def add(self, keys: Any, vectors: Any) -> None:
        self.store.add(keys, vectors)

    def find(self, keys: Any) -> Found:
        return self.store.find(keys)

    def close(self) -> None:
        del self.store


class Segments:
    """What xlir-bench did before: a memory-mapped file for each block."""

    ROW = np.dtype([("key", "S16"), ("check", "<u4")])

    def __init__(self, folder: Path, width: int) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.parts: list[tuple[Any, Any]] = []
        for path in sorted(folder.glob("*.vectors")):
            with path.open("rb") as file:
                [count] = struct.unpack("<Q", file.read(8))
                rows = np.frombuffer(file.read(20 * count), self.ROW)
            vectors = np.memmap(path, "<f4", "r", 8 + 20 * count, (count, width))
            self.parts.append((rows, vectors))
        sizes = [len(rows) for rows, _ in self.parts]
        keys = np.concatenate([np.empty(0, "S16"), *(rows["key"] for rows, _ in self.parts)])
        order = np.argsort(keys, kind="stable")
        self.keys = keys[order]
        self.part_at = np.repeat(np.arange(len(sizes)), sizes)[order]
        self.row_at = np.concatenate([np.empty(0, np.int64), *(np.arange(size) for size in sizes)])[order]

    def add(self, keys: Any, vectors: Any) -> None:
        rows = np.empty(len(keys), self.ROW)
        rows["key"], rows["check"] = keys, _checks(vectors)
        unfinished = self.folder / f"{os.urandom(16).hex()}.unfinished"
        with unfinished.open("xb") as file:
            file.write(struct.pack("<Q", len(keys)) + rows.tobytes())
            file.write(vectors.data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(unfinished.with_suffix(".vectors"))

    def find(self, keys: Any) -> Found:
        at = np.searchsorted(self.keys, keys)
        at[at == len(self.keys)] = 0
        hits = np.flatnonzero(self.keys[at] == keys) if len(self.keys) else np.empty(0, np.int64)
        places = at[hits]
        vectors = np.empty((len(hits), self.parts[0][1].shape[1] if self.parts else 0), np.float32)
        sound = np.zeros(len(hits), bool)
        for number in np.unique(self.part_at[places]):
            mine = np.flatnonzero(self.part_at[places] == number)
            rows = self.row_at[places[mine]]
            vectors[mine] = self.parts[number][1][rows]
            sound[mine] = _checks(vectors[mine]) == self.parts[number][0]["check"][rows]
        return hits[sound], vectors[sound]

    def close(self) -> None:
        self.parts.clear()


class Sqlite:
    """One table of keys, checksums and vectors, in SQLite with a write-ahead log."""

    def __init__(self, folder: Path, width: int) -> None:
        folder.mkdir(exist_ok=True)
        self.width = width
        self.file = sqlite3.connect(folder / "vectors.sqlite", timeout=60, isolation_level=None)
        for setting in ("page_size = 8192", "journal_mode = wal", "synchronous = full"):
            self.file.execute(f"pragma {setting}")
        self.file.execute("create table if not exists vectors (key blob unique, sum integer, vector blob)")

    def add(self, keys: Any, vectors: Any) -> None:
        rows = ((key, zlib.crc32(row), row.tobytes()) for key, row in zip(_split(keys), vectors, strict=True))
        self.file.execute("begin immediate")
        self.file.executemany("insert or replace into vectors values (?, ?, ?)", rows)
        self.file.execute("commit")

    def find(self, keys: Any) -> Found:
        asked = _split(keys)
        query = f"select key, sum, vector from vectors where key in ({','.join('?' * len(asked))})"
        stored = {key: (check, vector) for key, check, vector in self.file.execute(query, asked)}
        at = [row for row, key in enumerate(asked) if key in stored and zlib.crc32(stored[key][1]) == stored[key][0]]
        joined = b"".join(stored[asked[row]][1] for row in at)
        return np.array(at, np.int64), np.frombuffer(joined, "<f4").reshape(-1, self.width)

    def close(self) -> None:
        self.file.close()


class SqliteIndex:
    """One growing file of vectors, and SQLite for where the vector of a key lies."""

    def __init__(self, folder: Path, width: int) -> None:
        folder.mkdir(exist_ok=True)
        self.width = width
        self.rows = os.open(folder / "rows", os.O_RDWR | os.O_CREAT)
        self.file = sqlite3.connect(folder / "index.sqlite", timeout=60, isolation_level=None)
        for setting in ("journal_mode = wal", "synchronous = full"):
            self.file.execute(f"pragma {setting}")
        self.file.execute(
            "create table if not exists places (key blob primary key, row integer, sum integer) without rowid"
        )
        self.file.execute("create table if not exists counted (id integer primary key, rows integer)")

    def add(self, keys: Any, vectors: Any) -> None:
        self.file.execute("begin immediate")
        [count] = self.file.execute("select rows from counted").fetchone() or [0]
        os.pwrite(self.rows, vectors.data, count * self.width * 4)
        os.fsync(self.rows)
        places = (
            (key, count + at, zlib.crc32(row)) for at, (key, row) in enumerate(zip(_split(keys), vectors, strict=True))
        )
        self.file.executemany("insert or replace into places values (?, ?, ?)", places)
        self.file.execute("insert or replace into counted values (1, ?)", (count + len(vectors),))
        self.file.execute("commit")

    def find(self, keys: Any) -> Found:
        asked = _split(keys)
        query = f"select key, row, sum from places where key in ({','.join('?' * len(asked))})"
        places = {key: (row, check) for key, row, check in self.file.execute(query, asked)}
        at = np.array([position for position, key in enumerate(asked) if key in places], np.int64)
        if not len(at):
            return at, np.empty((0, self.width), np.float32)
        rows = np.array([places[asked[position]][0] for position in at])
        checks = np.array([places[asked[position]][1] for position in at], np.uint32)
        mapped = np.memmap(f"/proc/self/fd/{self.rows}", "<f4", "r").reshape(-1, self.width)
        vectors = np.ascontiguousarray(mapped[rows])
        sound = _checks(vectors) == checks
        return at[sound], vectors[sound]

    def close(self) -> None:
        self.file.close()
        os.close(self.rows)


class Lmdb:
    """LMDB, one entry for each key: checksum and vector."""

    def __init__(self, folder: Path, width: int) -> None:
        import lmdb

        self.width = width
        self.file = lmdb.open(str(folder), map_size=2**35)

    def add(self, keys: Any, vectors: Any) -> None:
        rows = (
            (key, struct.pack("<I", zlib.crc32(row)) + row.tobytes())
            for key, row in zip(_split(keys), vectors, strict=True)
        )
        with self.file.begin(write=True) as transaction:
            transaction.cursor().putmulti(rows)

    def find(self, keys: Any) -> Found:
        at, parts = [], []
        with self.file.begin(buffers=True) as transaction:
            for position, key in enumerate(_split(keys)):
                entry = transaction.get(key)
                if entry is not None and zlib.crc32(entry[4:]) == struct.unpack("<I", entry[:4])[0]:
                    at.append(position)
                    parts.append(entry[4:])
            return np.array(at, np.int64), np.frombuffer(b"".join(parts), "<f4").reshape(-1, self.width)

    def close(self) -> None:
        self.file.close()


LAYOUTS: dict[str, type[Any]] = {
    "xlir-bench": Package,
    "segments": Segments,
    "SQLite": Sqlite,
    "SQLite index": SqliteIndex,
    "LMDB": Lmdb,
}
