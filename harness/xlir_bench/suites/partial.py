"""The unfinished file of a download on this machine's disk. Errors of the disk are told from errors of the network."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import CACHE_VARIABLE, locked
from xlir_bench.suites.names import UNFINISHED
from xlir_bench.suites.source import Hash, other_than

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_PAGE = (b"<!doctype html", b"<html")


class Partial:
    """A context manager that holds the unfinished file open and locked.

    Args:
        target: where the finished file goes.

    Attributes:
        size: bytes that are here.
        about: what they are a part of: `url`, `validator`, `etag`, `modified`, `total`; empty where nothing is known.

    Raises:
        MissingResourceError: from each method: the disk is full or cannot be written.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(target.name + UNFINISHED[0])
        self._note = target.with_name(target.name + UNFINISHED[1])

    def __enter__(self) -> Partial:
        with self._disk():
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self._path.open("ab")
        if not locked(self._file):
            self._file.close()
            raise MissingResourceError(f"{self._target}: another process is fetching it; wait for it to end")
        self.size = self._file.seek(0, os.SEEK_END)
        self.about: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            self.about = dict(json.loads(self._note.read_text(encoding="utf-8")))
        return self

    def __exit__(self, *_: object) -> None:
        with self._disk():
            self._file.close()
        if self.size == 0 and self._path.is_file():
            self._discard()
            with contextlib.suppress(OSError):
                self._target.parent.rmdir()  # made for nothing; one that holds something stays

    def describe(self, about: dict[str, Any]) -> None:
        """Note what is arriving, before its first byte."""
        self.about = about
        with self._disk():
            self._note.write_text(json.dumps(self.about), encoding="utf-8")

    def append(self, piece: bytes) -> None:
        """Write what has arrived."""
        with self._disk():
            self._file.write(piece)
        self.size += len(piece)

    def restart(self) -> None:
        """Throw away what is here."""
        with self._disk():
            self._file.truncate(0)
        self.size = 0

    def room(self) -> int:
        """Free bytes on the disk."""
        with self._disk():
            return shutil.disk_usage(self._target.parent).free

    def hash(self, algorithm: str) -> str:
        """Of what is here, hexadecimal."""
        with self._disk():
            self._file.flush()
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, algorithm).hexdigest()

    def finish(self, url: str, expected: Hash | None, first_of: str | None) -> str:
        """Check the whole file and put it in its place.

        Args:
            url: where it came from, for the message.
            expected: what its bytes must sum up to.
            first_of: see `download`.

        Returns:
            Its SHA-256.

        Raises:
            InputError: it has another hash, or is a web page; nothing is kept.
        """
        wrong = expected is not None and self.hash(expected.algorithm) != expected.value
        if (wrong or expected is None) and self._is_page():
            self._discard()
            raise InputError(
                f"{url}: a web page came in place of the file, perhaps a login or an error; open the address in a "
                "browser to see what it says; nothing was kept"
            )
        if wrong and expected is not None:
            found = Hash(algorithm=expected.algorithm, value=self.hash(expected.algorithm))
            self._discard()
            raise InputError(f"{url}: what arrived has {other_than(found, expected, first_of)}; nothing was kept")
        sha256 = self.hash("sha256")
        with self._disk():
            os.fsync(self._file.fileno())
            self._path.replace(self._target)
            self._note.unlink(missing_ok=True)
        return sha256

    def _is_page(self) -> bool:
        if self._target.suffix.lower() in {".html", ".htm"}:
            return False
        with self._disk():
            self._file.flush()
            with self._path.open("rb") as file:
                begins = file.read(512)
        return begins.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGE)

    def _discard(self) -> None:
        self.size = 0
        with self._disk():
            self._path.unlink(missing_ok=True)
            self._note.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            mend = "try again: it goes on from there"
            if error.errno in _FULL:
                mend = "make room and try again: it goes on from there"
            elif error.errno in _FORBIDDEN:
                mend = f"allow it, or name another folder by the environment variable {CACHE_VARIABLE}"
            raise MissingResourceError(f"{self._target}: cannot be written: {reason}; {mend}") from None
