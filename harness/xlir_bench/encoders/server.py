"""Embedding servers with OpenAI's interface: POST <url>/embeddings.

Texts go out in requests of `TEXTS_PER_REQUEST`, several at a time. What a request brings back is handed on at once, so
that it is stored before the next is waited for: after an error, nothing is paid for again; after a `kill -9`, only the
requests that were on their way. A busy or failing server (408, 409, 429, 5xx, a closed connection, no answer in time)
is asked again, after the time it names in `Retry-After`, else after 1, 2, 4, ... seconds; any other refusal, and an
answer that is not one vector of one width per text, ends the run with one line.

The key comes from an environment variable and is sent to the server alone; it is taken out of every message.

A server's model may change under its name. So each start asks for the vector of one short fixed text; it is compared to
those that earlier starts got (kept beside the vectors), and a model that answers otherwise is another model.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.checkpoint import Foreign, one_line, package
from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import cache_folder, replacing

NAME = "openai"
TEXTS_PER_REQUEST = 128
CONCURRENT = 8
ATTEMPTS = 8
TIMEOUT_S = 120.0
LONGEST_WAIT_S = 60.0
PATIENCE_S = 600.0
"""A `Retry-After` beyond this ends the run."""

_AGAIN = (408, 409, 429, 500, 502, 503, 504)
_PROBE = "The quick brown fox jumps over the lazy dog."
_SAME = 0.999

ROUNDING = 0.045
"""Relative difference of two vectors whose cosine is `_SAME`: servers round differently from call to call."""


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


class ServerEncoder:
    """A model behind an endpoint; see the module."""

    def __init__(self, endpoint: Endpoint, prompts: Mapping[Role, str]) -> None:
        self.endpoint, self.prompts = endpoint, dict(prompts)
        self._secret = _secret(endpoint)
        self._sessions = threading.local()
        self._width: int | None = endpoint.dimensions
        self._stopping = threading.Event()

    @property
    def dimensions(self) -> int:
        """Numbers per vector, or 0 before the first answer."""
        return self._width or 0

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions)."""
        result: Vectors | None = None
        for at, vectors in self.encode_parts(texts, role=role, languages=languages):
            if result is None:
                result = np.empty((len(texts), vectors.shape[1]), np.float32)
            result[at] = vectors
        return result if result is not None else np.empty((0, self.dimensions), np.float32)

    def encode_parts(
        self, texts: Sequence[str], *, role: Role, languages: Sequence[str]
    ) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """See `protocol.PartwiseEncoder`. After a failure, what other requests bring is still handed on first.

        Raises:
            InputError: the server refuses a request or answers with something else than vectors.
            MissingResourceError: the server cannot be reached, or stays busy.
        """
        starts = iter(range(0, len(texts), TEXTS_PER_REQUEST))
        self._stopping.clear()
        failure: Exception | None = None
        with ThreadPoolExecutor(CONCURRENT, thread_name_prefix="embed") as pool:
            flying: dict[Future[Vectors], npt.NDArray[np.int64]] = {}

            def launch(count: int) -> None:
                for start in islice(starts, count):
                    at = np.arange(start, min(start + TEXTS_PER_REQUEST, len(texts)))
                    part = [self.prompts[role] + texts[row] for row in at.tolist()]
                    flying[pool.submit(self.request, part)] = at

            launch(CONCURRENT)
            try:
                while flying:
                    done, _ = wait(flying, return_when=FIRST_COMPLETED)
                    for future in done:
                        at = flying.pop(future)
                        error = future.exception()
                        if error is None:
                            yield at, future.result()
                        elif failure is None and isinstance(error, Exception):
                            failure = error
                            self._stopping.set()
                    if failure is None:
                        launch(len(done))
            finally:
                self._stopping.set()
        if failure is not None:
            raise failure

    def request(self, texts: list[str]) -> Vectors:
        """Vectors of the texts of one request, shape (texts, dimensions), asked for until the server answers.

        Raises:
            InputError: the server refuses or answers with something else than vectors.
            MissingResourceError: it cannot be reached, or stays busy.
        """
        reason = ""
        for attempt in range(ATTEMPTS):
            pause = min(LONGEST_WAIT_S, 2.0**attempt) * random.uniform(0.5, 1.0)
            try:
                answer = self._post(texts)
            except OSError as error:  # requests' exceptions are all of this family
                reason = self._clean(one_line(error))
            else:
                if answer.status_code == 200:
                    return self._vectors(answer, len(texts))
                reason = f"{answer.status_code} {self._clean(_message(answer))}"
                if answer.status_code not in _AGAIN:
                    raise InputError(f"{self._who()} refused {len(texts)} texts ({reason}); {_advice(answer, self)}")
                pause = max(pause, _retry_after(answer))
            if pause > PATIENCE_S:
                raise MissingResourceError(
                    f"{self._who()} asks to wait {pause:,.0f} s ({reason}): run the same command again then; what was "
                    "encoded is kept"
                )
            if attempt + 1 == ATTEMPTS or self._stopping.wait(pause):
                break
        raise MissingResourceError(
            f"{self._who()} did not answer {ATTEMPTS} requests for {len(texts)} texts ({reason}): run the same command "
            "again later; what was encoded is kept"
        )

    def _post(self, texts: list[str]) -> Foreign:
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
        return session.post(url, json=body, auth=authorised, timeout=TIMEOUT_S, allow_redirects=False)

    def _vectors(self, answer: Foreign, expected: int) -> Vectors:
        try:
            rows = sorted(answer.json()["data"], key=lambda row: int(row["index"]))
            positions = [int(row["index"]) for row in rows]
            vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
        except (ValueError, TypeError, KeyError) as error:
            reason = self._clean(one_line(error))[:200]
            raise InputError(f"{self._who()} answered with something else than embeddings ({reason})") from None
        if positions != list(range(expected)):
            raise InputError(f"{self._who()} returned {len(rows)} vectors for {expected} texts")
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise InputError(f"{self._who()} returned vectors of several widths for one request")
        width = self._width = self._width or vectors.shape[1]
        if vectors.shape[1] != width:
            raise InputError(f"{self._who()} returned {vectors.shape[1]} dimensions where {width} were expected")
        if not np.isfinite(vectors).all():
            raise InputError(f"{self._who()} returned a vector that is not finite")
        return vectors

    def _who(self) -> str:
        return f"the server {self.endpoint.url} (model {self.endpoint.model})"

    def _clean(self, message: str) -> str:
        return message.replace(self._secret, "***") if self._secret else message


def identity(encoder: ServerEncoder) -> str:
    """The fingerprint: SHA-256 of address, model, prompts, and of the first vector that a probe text ever got.

    Servers round differently from call to call, so a vector that is the same but for rounding counts as that first one.

    Raises:
        InputError: the server refuses.
        MissingResourceError: the server cannot be reached.
    """
    endpoint = encoder.endpoint
    declared = json.dumps(
        [
            endpoint.url.rstrip("/"),
            endpoint.model,
            endpoint.dimensions,
            endpoint.revision,
            sorted(encoder.prompts.items()),
        ]
    )
    digest = hashlib.sha256(declared.encode())
    folder = cache_folder() / "servers" / digest.hexdigest()
    probe = encoder.request([_PROBE])[0]
    for path in sorted(folder.glob("*.f32")):
        known = np.frombuffer(path.read_bytes(), "<f4")
        if known.shape == probe.shape and _cosine(known, probe) > _SAME:
            probe = known
            break
    else:
        content = probe.astype("<f4").tobytes()
        try:
            with replacing(folder / f"{hashlib.sha256(content).hexdigest()[:16]}.f32") as temporary:
                temporary.write_bytes(content)
        except MissingResourceError:
            pass  # without a cache there is nothing to find again either
    digest.update(probe.astype("<f4").tobytes())
    return digest.hexdigest()


def _cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-30))


def _secret(endpoint: Endpoint) -> str | None:
    if endpoint.key is None:
        return None
    secret = os.environ.get(endpoint.key)
    if not secret:
        raise MissingResourceError(
            f"the server {endpoint.url} needs a key: set the environment variable {endpoint.key}"
        )
    return secret


def _retry_after(answer: Foreign) -> float:
    """Seconds that the server asks to wait; the header holds them, or a date (RFC 9110, 10.2.3)."""
    value = answer.headers.get("Retry-After", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _message(answer: Foreign) -> str:
    try:
        content = answer.json()
        error = content.get("error", content) if isinstance(content, dict) else content
        text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    except ValueError:
        text = answer.text
    return " ".join(text.split())[:200] or answer.reason


def _advice(answer: Foreign, encoder: ServerEncoder) -> str:
    if answer.status_code in {401, 403}:
        return f"check the key in {encoder.endpoint.key or 'an environment variable, and name it with `key`'}"
    if answer.status_code == 404:
        return "check the address, which ends before /embeddings, and the model's name"
    return "what was encoded before is kept"
