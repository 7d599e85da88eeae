"""Columns of strings that need not be in memory: constant, joined end to end, and their digest."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

_CHUNK = 4096


class Constant(Sequence[str]):
    """One string, `size` times: the language of a monolingual column."""

    def __init__(self, value: str, size: int) -> None:
        self.value, self._size = value, size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return Constant(self.value, len(range(*at.indices(self._size))))
        if not -self._size <= at < self._size:
            raise IndexError(at)
        return self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(other) == len(self) and all(value == self.value for value in other)

    __hash__ = None  # type: ignore[assignment]


class Joined(Sequence[str]):
    """Several columns end to end, none of them copied."""

    def __init__(self, parts: Sequence[Sequence[str]]) -> None:
        self.parts = [part for part in parts if len(part)]
        self._starts = [0, *np.cumsum([len(part) for part in self.parts]).tolist()]

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                return [self[row] for row in range(start, stop, step)]
            pieces = zip(self._starts, self.parts, strict=False)
            cut = [part[max(start - first, 0) : max(stop - first, 0)] for first, part in pieces]
            kept = [piece for piece in cut if len(piece)]
            return kept[0] if len(kept) == 1 else Joined(kept)
        row = at + len(self) if at < 0 else at
        if not 0 <= row < len(self):
            raise IndexError(at)
        part = bisect_right(self._starts, row) - 1
        return self.parts[part][row - self._starts[part]]

    def __iter__(self) -> Iterator[str]:
        for part in self.parts:
            yield from part


def end_to_end(columns: Sequence[Sequence[str]]) -> Sequence[str]:
    """Columns one after the other: a list where all are lists, else a view."""
    if all(isinstance(column, list) for column in columns):
        return [text for column in columns for text in column]
    return Joined(columns)


class ColumnDigest:
    """The digest of a column, fed piece by piece: SHA-256 over the size and two SHA-256, of bytes and of lengths."""

    def __init__(self) -> None:
        self._bytes, self._lengths, self._size = hashlib.sha256(), hashlib.sha256(), 0

    def update(self, utf8: bytes | memoryview, lengths: npt.NDArray[np.integer]) -> None:
        """Texts in order.

        Args:
            utf8: their bytes, end to end.
            lengths: the bytes of each, shape (texts,).
        """
        self._bytes.update(utf8)
        self._lengths.update(np.ascontiguousarray(lengths, dtype="<u4").tobytes())
        self._size += len(lengths)

    def digest(self) -> bytes:
        """32 bytes."""
        parts = self._size.to_bytes(8, "little") + self._bytes.digest() + self._lengths.digest()
        return hashlib.sha256(parts).digest()


def column_digest(column: Sequence[str]) -> bytes:
    """The digest of a column: the one that it carries, where it was stored with one, else over its texts."""
    known = getattr(column, "digest", None)
    if isinstance(known, bytes):
        return known
    found = ColumnDigest()
    for begin in range(0, len(column), _CHUNK):
        encoded = [text.encode("utf-8", "surrogatepass") for text in column[begin : begin + _CHUNK]]
        found.update(b"".join(encoded), np.array([len(one) for one in encoded], dtype=np.int64))
    return found.digest()
