"""One request to an embedding server with OpenAI's interface: sent, repeated while the server is busy, and checked."""

from __future__ import annotations

import base64
import email.utils
import json
import os
import random
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from xlir_bench.encoders.checkpoint import Foreign, one_line, package
from xlir_bench.encoders.cutting import says_too_long
from xlir_bench.encoders.protocol import Vectors
from xlir_bench.errors import InputError, MissingResourceError, counted, printable
from xlir_bench.offline import is_offline
from xlir_bench.redaction import redacted, remember

ATTEMPTS = 8
TIMEOUT_S = 120.0
LONGEST_WAIT_S = 60.0
PATIENCE_S = 600.0
"""A `Retry-After` beyond this ends the run."""

_AGAIN = (408, 409, 429, 500, 502, 503, 504)
_NOT_THESE = (400, 413, 422)
"""Answers that may be about one text, or about too many of them at once."""
_BYTES_PER_ANSWER = 1 << 20
_BYTES_PER_VECTOR = 1 << 19
"""As JSON: more than 20,000 numbers."""
_LONGEST_MESSAGE = 200


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served.

    Attributes:
        url: up to, not including, `/embeddings`.
        model: what the server calls the model.
        key: the environment variable that holds the key; none is sent if it is None.
        dimensions: asked for, where the server can shorten vectors.
        revision: counts for the fingerprint, nothing else; the server is not told.
    """

    url: str
    model: str
    key: str | None = None
    dimensions: int | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"the server's address must begin with http:// or https://, not {self.url!r}")
        if parts.username or parts.password or parts.query:
            raise InputError(
                "the server's address may hold no key or password: name an environment variable with `key`"
            )


@dataclass(frozen=True)
class _Answer:
    """One answer of the server, whole."""

    status: int
    reason: str
    headers: dict[str, str]
    content: bytes


class RefusedError(Exception):
    """The server will not take these texts, whenever they are sent."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    @property
    def too_long(self) -> bool:
        """Whether a single text was refused for its length."""
        return says_too_long(self.status, str(self))


class Client:
    """Asks one endpoint for vectors; several threads may.

    Args:
        endpoint: where the model is served.

    Attributes:
        width: numbers per vector; None before the first answer.
        stopping: set to end every wait.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.width: int | None = endpoint.dimensions
        self.stopping = threading.Event()
        self._secret = _secret(endpoint)
        self._sessions = threading.local()

    def __str__(self) -> str:
        return f"the server {self.endpoint.url} (model {self.endpoint.model})"

    def request(self, texts: list[str]) -> Vectors:
        """Vectors of the texts of one request, shape (texts, dimensions), asked for until the server answers.

        Raises:
            RefusedError: the server refuses these texts, or so many of them.
            InputError: the server refuses every request, or answers with something else than vectors.
            MissingResourceError: it cannot be reached, or stays busy.
        """
        if is_offline():
            raise MissingResourceError(f"{self} is not asked: --offline or XLIR_BENCH_OFFLINE forbids the network")
        reason = ""
        for attempt in range(ATTEMPTS):
            pause = min(LONGEST_WAIT_S, 2.0**attempt) * random.uniform(0.5, 1.0)
            try:
                answer = self._post(texts)
            except OSError as error:  # requests' exceptions are all of this family
                reason = self._clean(one_line(error))
            else:
                if answer.status == 200:
                    return self._vectors(answer.content, len(texts))
                reason = f"{answer.status} {self._clean(_message(answer))}"
                if answer.status in _NOT_THESE or (answer.status == 500 and says_too_long(500, reason)):
                    raise RefusedError(answer.status, reason)
                if answer.status not in _AGAIN:
                    refused = f"{self} refused {counted(len(texts), 'texts')} ({reason})"
                    raise InputError(f"{refused}; {_advice(answer, self.endpoint)}")
                pause = max(pause, _retry_after(answer))
            if pause > PATIENCE_S:
                raise MissingResourceError(
                    f"{self} asks to wait {pause:,.0f} s ({reason}): run the same command again then; what was "
                    "encoded is kept"
                )
            if attempt + 1 == ATTEMPTS or self.stopping.wait(pause):
                break
        raise MissingResourceError(
            f"{self} did not answer {ATTEMPTS} requests for {counted(len(texts), 'texts')} ({reason}): run the same "
            "command again later; what was encoded is kept"
        )

    def _post(self, texts: list[str]) -> _Answer:
        session = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = package("requests", "an embedding server").Session()
        body: dict[str, Any] = {"model": self.endpoint.model, "input": texts, "encoding_format": "float"}
        if self.endpoint.dimensions is not None:
            body["dimensions"] = self.endpoint.dimensions

        def authorised(request: Foreign) -> Foreign:
            # As a header, a key would be replaced by what ~/.netrc has for the host.
            if self._secret:
                request.headers["Authorization"] = f"Bearer {self._secret}"
            return request

        url = f"{self.endpoint.url.rstrip('/')}/embeddings"
        with session.post(
            url, json=body, auth=authorised, timeout=TIMEOUT_S, allow_redirects=False, stream=True
        ) as answer:
            most = _BYTES_PER_ANSWER + len(texts) * _BYTES_PER_VECTOR
            content = bytearray()
            for piece in answer.iter_content(1 << 16):  # as decompressed
                content += piece
                if len(content) > most:
                    raise InputError(f"{self} answered {counted(len(texts), 'texts')} with more than {most:,} bytes")
            return _Answer(answer.status_code, str(answer.reason), dict(answer.headers), bytes(content))

    def _vectors(self, content: bytes, expected: int) -> Vectors:
        try:
            rows = sorted(json.loads(content)["data"], key=lambda row: int(row["index"]))
            positions = [int(row["index"]) for row in rows]
            vectors = np.array([_numbers(row["embedding"]) for row in rows], dtype=np.float32)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            reason = self._clean(one_line(error))
            raise InputError(f"{self} answered with something else than embeddings ({reason})") from None
        if positions != list(range(expected)):
            raise InputError(f"{self} returned {counted(len(rows), 'vectors')} for {counted(expected, 'texts')}")
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise InputError(f"{self} returned vectors of several widths for one request")
        width = self.width = self.width or vectors.shape[1]
        if vectors.shape[1] != width:
            raise InputError(f"{self} returned {vectors.shape[1]} dimensions where {width} were expected")
        if not np.isfinite(vectors).all():
            raise InputError(f"{self} returned a vector that is not finite")
        return vectors

    def _clean(self, message: str) -> str:
        """A message of the server in one line, without the key and not too long."""
        return printable(redacted(message), _LONGEST_MESSAGE)


def _secret(endpoint: Endpoint) -> str | None:
    if endpoint.key is None:
        return None
    secret = os.environ.get(endpoint.key, "").strip()
    if not secret:
        raise MissingResourceError(
            f"the server {endpoint.url} needs a key: set the environment variable {endpoint.key}"
        )
    if not (secret.isascii() and secret.isprintable()):
        raise InputError(
            f"the environment variable {endpoint.key} holds a line break or a letter that no key has: set it again"
        )
    remember(secret)
    return secret


def _numbers(embedding: object) -> object:
    """The numbers of a vector; a server may send base64 of little-endian float32 whatever it was asked for."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    return embedding


def _retry_after(answer: _Answer) -> float:
    """Seconds that the server asks to wait; the header holds them, or a date (RFC 9110, 10.2.3)."""
    value = next((value for name, value in answer.headers.items() if name.lower() == "retry-after"), "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _message(answer: _Answer) -> str:
    text = answer.content.decode("utf-8", "replace")
    try:
        content = json.loads(text)
        error = content.get("error", content) if isinstance(content, dict) else content
        text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    except (ValueError, RecursionError):
        pass
    return text if text.strip() else answer.reason


def _advice(answer: _Answer, endpoint: Endpoint) -> str:
    if answer.status in {401, 403}:
        return f"check the key in {endpoint.key or 'an environment variable, and name it with `key`'}"
    if answer.status == 404:
        return "check the address, which ends before /embeddings, and the model's name"
    return "what was encoded before is kept"
