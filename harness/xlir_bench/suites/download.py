"""One file over HTTP: resumed where it broke off, checked, and in its place whole or not at all."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import string
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from xlir_bench.errors import InputError, MissingResourceError, printable
from xlir_bench.interrupts import keeps
from xlir_bench.offline import is_offline
from xlir_bench.progress import SILENT, Progress
from xlir_bench.suites.partial import Partial
from xlir_bench.suites.source import Hash
from xlir_bench.version import __version__

MOST_BYTES = 64 << 30
"""Of one file."""

RESERVE = 1 << 30
"""Free bytes that a file of unstated size leaves on the disk."""

_CHUNK = 1 << 18
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_WITH_CONTENT = frozenset({200, 203, 206})
_COMPRESSED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip")


@dataclass(frozen=True)
class Patience:
    """How long to try, and how much to take.

    Attributes:
        tries: connections in a row that get no further than an earlier one before giving up.
        stall_s: seconds without a byte after which a connection counts as broken.
        wait_s: seconds before the second try; doubled each time.
        most_bytes: of the file; None for `MOST_BYTES`, which it may not exceed either.
    """

    tries: int = 5
    stall_s: float = 30.0
    wait_s: float = 1.0
    most_bytes: int | None = None


@keeps("what arrived is kept: the same command goes on from there")
def download(
    url: str,
    target: Path,
    expected: Hash | None,
    *,
    first_of: str | None = None,
    patience: Patience = Patience(),
    progress: Progress = SILENT,
) -> str:
    """Get a file.

    What arrives is kept in `<target>.partial`; a connection that breaks, stalls or ends early is followed by another
    that asks for the rest, as is a run that was cut off. The rest is only asked for under the condition that the server
    still has the same file (`If-Range`), or where a published hash will tell, and is only joined to what is here if the
    server does not say that it is of another version.

    Args:
        url: http or https. Redirects are followed, but not from https to http.
        target: where the file goes, with one rename, once it is complete and its hash is right.
        expected: what its bytes must sum up to; None takes what comes, unless it is a web page.
        first_of: the suite whose first fetch gave `expected`; None where it was published.
        patience: see there.
        progress: called with the number of bytes.

    Returns:
        SHA-256 of the file, hexadecimal.

    Raises:
        MissingResourceError: the server does not have it or cannot be reached, another process is at it, or the disk
            is full. What arrived is kept for the next try.
        InputError: the bytes are not the expected ones, or the address is none; nothing is kept.
    """
    if is_offline():
        raise MissingResourceError(f"{url}: not here, and --offline forbids to fetch it")
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url}: only http and https addresses are fetched")
    address = _as_ascii(url)
    with Partial(target) as partial:
        resumed = partial.size > 0
        _fill(address, partial, expected is not None, patience, progress)
        if expected is not None and resumed and partial.hash(expected.algorithm) != expected.value:
            # The pieces may be of two versions of the file: once more, from the start.
            partial.restart()
            _fill(address, partial, True, patience, progress)
        return partial.finish(url, expected, first_of)


def _as_ascii(url: str) -> str:
    """An address as it is sent: other letters as percent-encoded UTF-8, and as IDNA in the machine's name."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        if not host or parts.port == 0:
            raise ValueError("it names no machine")
        if not url.isascii():
            netloc = parts.netloc.replace(parts.netloc.rpartition("@")[2].partition(":")[0], host)
            parts = parts._replace(netloc=netloc)
        return quote(urlunsplit(parts), safe=string.punctuation)
    except ValueError as error:
        raise InputError(f"{url!r}: not an address ({error})") from None


class _BrokenError(Exception):
    """The connection did not bring the whole file; what it brought is kept."""


def _fill(url: str, partial: Partial, pinned: bool, patience: Patience, progress: Progress) -> None:
    """Connect until the file is complete."""
    fruitless, furthest, reason = 0, partial.size, ""
    while True:
        try:
            _connect(url, partial, pinned, patience, progress)
            return
        except _OutOfRangeError as error:
            total = partial.about.get("total")
            if partial.size and (total == partial.size or (pinned and total is None)):
                return  # all of it is here; a published hash says whether it is right
            partial.restart()
            reason = str(error)
        except _BrokenError as error:
            reason = str(error)
        # A server that sends the same part again and again makes no progress.
        fruitless = 0 if partial.size > furthest else fruitless + 1
        furthest = max(furthest, partial.size)
        if fruitless:
            if fruitless >= patience.tries:
                kept = "What arrived is kept: the same command goes on" if partial.size else "Nothing was kept"
                raise MissingResourceError(f"{url}: {reason}; gave up after {fruitless} tries. {kept}")
            time.sleep(patience.wait_s * 2 ** (fruitless - 1))


def _connect(url: str, partial: Partial, pinned: bool, patience: Patience, progress: Progress) -> None:
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
    with _answers(url), _opener().open(request, timeout=patience.stall_s) as response:
        _check_kind(url, response)
        total = _total(url, response, partial)
        most = min(patience.most_bytes or MOST_BYTES, MOST_BYTES)
        _check_size(url, max(total or 0, partial.size), most, partial)
        stage = progress.stage(Path(url.partition("?")[0]).name, total or 0, "bytes")
        stage.advance(partial.size)
        while piece := response.read1(_CHUNK):
            partial.append(piece)
            stage.advance(len(piece))
            if partial.size > most:
                _check_size(url, partial.size, most, partial)
            if total is None and partial.room() < RESERVE:
                raise MissingResourceError(
                    f"{url}: the server does not say how much is to come, and after {partial.size:,} bytes the disk "
                    f"has less than {RESERVE:,} left: make room and try again, or see what the server sends"
                )
        if total is not None and partial.size != total:
            if partial.size > total:
                partial.restart()
            raise _BrokenError(f"the connection ended after {partial.size:,} of {total:,} bytes")


def _check_kind(url: str, response: Any) -> None:  # noqa: ANN401
    """Refuse an answer that is not the file's bytes as they are."""
    if response.status not in _WITH_CONTENT:
        raise MissingResourceError(
            f"{url}: the server answered {response.status} {_one_line(response.reason)}, without the file"
        )
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    # Of a file that is compressed itself, some servers say so in this header and send it as it is.
    if encoding not in {"", "identity"} and not urlsplit(url).path.lower().endswith(_COMPRESSED):
        raise MissingResourceError(
            f"{url}: the server sent the file encoded as {encoding[:40]!r}, which was not asked for; nothing was kept"
        )


def _check_size(url: str, total: int, most: int, partial: Partial) -> None:
    missing = total - partial.size
    if total > most:
        partial.restart()
        whose = "which no suite has" if most == MOST_BYTES else "the `max_bytes` of its source"
        raise MissingResourceError(f"{url}: more than {most:,} bytes, {whose}; nothing was kept")
    if missing > partial.room():
        raise MissingResourceError(
            f"{url}: {missing:,} bytes are to come, and the disk has room for {partial.room():,}: make room and try "
            "again: it goes on from there"
        )


def _total(url: str, response: Any, partial: Partial) -> int | None:  # noqa: ANN401
    """The size of the whole file by the answer's headers; None where they do not tell. Starts over where it must."""
    headers = response.headers
    announced = headers.get("Content-Length")
    length = int(announced) if announced and announced.isdecimal() else None
    version = {"etag": headers.get("ETag"), "modified": headers.get("Last-Modified")}
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", ""))
        begins = int(match[1]) if match else None
        total = int(match[3]) if match and match[3] != "*" else None
        if partial.size and any(said and partial.about.get(name, said) != said for name, said in version.items()):
            partial.restart()
            raise _BrokenError("the server has another version of the file than the part that was here")
        if begins == partial.size and partial.about.get("total") in (None, total):
            return total if total is not None else (partial.size + length if length is not None else None)
        partial.restart()
        raise _BrokenError("the server gave another part of the file than was asked for")
    if partial.size:
        partial.restart()
    known = {name: said for name, said in version.items() if said}
    partial.describe({"url": url, "validator": _validator(headers), "total": length, **known})
    return length


@contextlib.contextmanager
def _answers(url: str) -> Iterator[None]:
    """What a connection raises: `_BrokenError` where another try may help, else an error for the person."""
    try:
        yield
    except urllib.error.HTTPError as error:
        if error.code in _PASSING:
            raise _BrokenError(f"the server answered {error.code} {_one_line(error.reason)}") from None
        if error.code == 416:
            raise _OutOfRangeError("the server answered 416 to the part of the file that was asked for") from None
        raise MissingResourceError(f"{url}: the server answered {error.code} {_one_line(error.reason)}") from None
    except urllib.error.URLError as error:
        raise _unreachable(url, error.reason) from None
    except OSError as error:
        # Errors of the disk are another kind: see `Partial`.
        raise _unreachable(url, error) from None
    except (http.client.InvalidURL, ValueError) as error:
        raise MissingResourceError(
            f"{url}: the server led on to an address that is none ({_one_line(error)})"
        ) from None
    except http.client.HTTPException as error:
        raise _BrokenError(f"the connection broke: {_one_line(error)}") from None


def _one_line(reason: object) -> str:
    """What an error or a server says, which may be any bytes."""
    return printable(reason, 200) or type(reason).__name__


def _unreachable(url: str, reason: object) -> Exception:
    """The error for a connection that could not be made, or broke."""
    said = _one_line(reason)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return MissingResourceError(
            f"{url}: the server's certificate is not trusted ({getattr(reason, 'verify_message', said)}): check the "
            "clock and the address; a proxy's own certificates are named by the environment variable SSL_CERT_FILE"
        )
    if isinstance(reason, socket.gaierror):
        return MissingResourceError(f"{url}: no such machine, or no network: {said}")
    if isinstance(reason, TimeoutError):
        return _BrokenError("nothing arrived for too long")
    if isinstance(reason, ssl.SSLError):
        return _BrokenError(f"no secure connection: {said}")
    if isinstance(reason, ConnectionError) and not isinstance(reason, ConnectionRefusedError):
        return _BrokenError(f"the connection broke: {said}")
    return _BrokenError(f"cannot be reached: {said}")


class _OutOfRangeError(_BrokenError):
    """The server says that it has no bytes beyond those that are here."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone, and not from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: ANN401
        if not newurl.startswith(("http://", "https://")):
            raise MissingResourceError(f"{req.full_url}: redirected to {newurl}, which is not http; not followed")
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
