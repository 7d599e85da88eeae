"""One file over HTTP: resumed where it broke off, checked, and in its place whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from xlir_bench import __version__
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import locked
from xlir_bench.interrupts import keeps
from xlir_bench.offline import is_offline
from xlir_bench.progress import SILENT, Progress
from xlir_bench.suites.source import Hash

_CHUNK = 1 << 18
_UNFINISHED = ".partial"
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long to try.

    Attributes:
        tries: connections in a row that bring nothing new before giving up.
        stall_s: seconds without a byte after which a connection counts as broken.
        wait_s: seconds before the second try; doubled each time.
    """

    tries: int = 5
    stall_s: float = 30.0
    wait_s: float = 1.0


@keeps("what arrived is kept: the same command goes on from there")
def download(
    url: str, target: Path, expected: Hash | None, *, patience: Patience = Patience(), progress: Progress = SILENT
) -> str:
    """Get a file.

    What arrives is kept in `<target>.partial`; a connection that breaks, stalls or ends early is followed by another
    that asks for the rest, as is a run that was cut off. The rest is only asked for under the condition that the server
    still has the same file (`If-Range`), or where a published hash will tell.

    Args:
        url: http or https. Redirects are followed, but not from https to http.
        target: where the file goes, with one rename, once it is complete and its hash is right.
        expected: the published hash; None takes what comes.
        patience: see there.
        progress: hears of bytes.

    Returns:
        SHA-256 of the file, hexadecimal.

    Raises:
        MissingResourceError: the server does not have it or cannot be reached, another process is at it, or the disk
            is full. What arrived is kept for the next try.
        InputError: the bytes are not the published ones; nothing is kept.
    """
    if is_offline():
        raise MissingResourceError(f"{url}: not here, and --offline forbids to fetch it")
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url}: only http and https addresses are fetched")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _Partial(target) as partial:
            resumed = partial.size > 0
            _fill(url, partial, expected is not None, patience, progress)
            if expected is not None and resumed and partial.hash(expected.algorithm) != expected.value:
                # The pieces may be of two versions of the file: once more, from the start.
                partial.restart()
                _fill(url, partial, True, patience, progress)
            return partial.finish(url, expected)
    except OSError as error:
        raise MissingResourceError(
            f"{target}: cannot be written: {error.strerror or error}; make room and try again: it goes on from there"
        ) from None


class _BrokenError(Exception):
    """The connection did not bring the whole file; what it brought is kept."""


class _Partial:
    """The unfinished file, its length, and which version of the file at the server it is a part of."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(target.name + _UNFINISHED)
        self._note = target.with_name(target.name + _UNFINISHED + ".json")

    def __enter__(self) -> _Partial:
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
        self._file.close()

    def describe(self, url: str, validator: str | None, total: int | None) -> None:
        """Note what is arriving, before its first byte."""
        self.about = {"url": url, "validator": validator, "total": total}
        self._note.write_text(json.dumps(self.about), encoding="utf-8")

    def append(self, piece: bytes) -> None:
        self._file.write(piece)
        self.size += len(piece)

    def restart(self) -> None:
        self._file.truncate(0)
        self.size = 0

    def hash(self, algorithm: str) -> str:
        self._file.flush()
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()

    def finish(self, url: str, expected: Hash | None) -> str:
        """Check the whole file and put it in its place."""
        if expected is not None and (found := self.hash(expected.algorithm)) != expected.value:
            self._discard()
            raise InputError(
                f"{url}: what arrived has {Hash(algorithm=expected.algorithm, value=found)}, published is {expected}: "
                "the file there was changed or damaged; nothing was kept"
            )
        sha256 = self.hash("sha256")
        os.fsync(self._file.fileno())
        self._path.replace(self._target)
        self._note.unlink(missing_ok=True)
        return sha256

    def _discard(self) -> None:
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _fill(url: str, partial: _Partial, pinned: bool, patience: Patience, progress: Progress) -> None:
    """Connect until the file is complete."""
    fruitless, reason = 0, "the server has no such part of the file"
    while True:
        before = partial.size
        try:
            _connect(url, partial, pinned, patience.stall_s, progress)
            return
        except _OutOfRangeError:
            total = partial.about.get("total")
            if total == partial.size or (pinned and total is None):
                return  # all of it is here; a published hash says whether it is right
            partial.restart()
            fruitless += 1
        except _BrokenError as error:
            fruitless = 0 if partial.size > before else fruitless + 1
            reason = str(error)
        if fruitless:
            if fruitless >= patience.tries:
                raise MissingResourceError(
                    f"{url}: {reason}; gave up after {fruitless} tries. What arrived is kept: the same command goes on"
                )
            time.sleep(patience.wait_s * 2 ** (fruitless - 1))


def _connect(url: str, partial: _Partial, pinned: bool, stall_s: float, progress: Progress) -> None:
    """One connection: the rest of the file, or all of it where the server cannot or will not give the rest."""
    request = urllib.request.Request(url, headers={"User-Agent": f"xlir-bench/{__version__}"})
    request.add_header("Accept-Encoding", "identity")
    validator = partial.about.get("validator") if partial.about.get("url") == url else None
    if partial.size and not (validator or pinned):
        partial.restart()
    if partial.size:
        request.add_header("Range", f"bytes={partial.size}-")
        if validator:
            request.add_header("If-Range", validator)
    with _answers(url), _opener().open(request, timeout=stall_s) as response:
        total = _total(url, response, partial)
        stage = progress.stage(Path(url.partition("?")[0]).name, total or 0, "bytes")
        stage.advance(partial.size)
        while piece := response.read1(_CHUNK):
            partial.append(piece)
            stage.advance(len(piece))
        if total is not None and partial.size != total:
            if partial.size > total:
                partial.restart()
            raise _BrokenError(f"the connection ended after {partial.size:,} of {total:,} bytes")


def _total(url: str, response: Any, partial: _Partial) -> int | None:  # noqa: ANN401
    """The size of the whole file by the answer's headers; None where they do not tell. Starts over where it must."""
    headers = response.headers
    announced = headers.get("Content-Length")
    length = int(announced) if announced and announced.isdigit() else None
    validator = _validator(headers)
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", ""))
        begins = int(match[1]) if match else None
        total = int(match[3]) if match and match[3] != "*" else None
        if begins == partial.size and partial.about.get("total") in (None, total):
            return total if total is not None else (partial.size + length if length is not None else None)
        partial.restart()
        raise _BrokenError("the server gave another part of the file than was asked for")
    if partial.size:
        partial.restart()
    partial.describe(url, validator, length)
    return length


@contextlib.contextmanager
def _answers(url: str) -> Iterator[None]:
    """What a connection raises: `_BrokenError` where another try may help, else an error for the person."""
    try:
        yield
    except urllib.error.HTTPError as error:
        if error.code in _PASSING:
            raise _BrokenError(f"the server answered {error.code} {error.reason}") from None
        if error.code == 416:
            raise _OutOfRangeError from None
        raise MissingResourceError(f"{url}: the server answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, socket.gaierror):
            raise MissingResourceError(f"{url}: no such machine, or no network: {error.reason}") from None
        raise _BrokenError(f"cannot be reached: {error.reason}") from None
    except TimeoutError:
        raise _BrokenError("nothing arrived for too long") from None
    except (http.client.HTTPException, ConnectionError) as error:
        raise _BrokenError(f"the connection broke: {error or type(error).__name__}") from None


class _OutOfRangeError(_BrokenError):
    """The server says that it has no bytes beyond those that are here."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, except from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: ANN401
        if req.full_url.startswith("https://") and not newurl.startswith("https://"):
            raise MissingResourceError(f"{req.full_url}: redirected to {newurl}, which is not https; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoDowngrade())


def _validator(headers: Any) -> str | None:  # noqa: ANN401
    """What `If-Range` may carry: a strong ETag, else the time of change."""
    tag = headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    changed = headers.get("Last-Modified")
    return str(changed) if changed else None
