"""Embedding servers with OpenAI's interface: POST <url>/embeddings.

Texts go out in requests of `TEXTS_PER_REQUEST`, several at a time. What a request brings back is handed on at once, so
that it is stored before the next is waited for: after an error, nothing is paid for again; after a `kill -9`, only the
requests that were on their way. A busy or failing server (408, 409, 429, 5xx, a closed connection, no answer in time)
is asked again, after the time it names in `Retry-After`, else after 1, 2, 4, ... seconds.

A text without a letter is never sent, for servers refuse it: its vector is zero, as in mteb. A request of several texts
that the server refuses (400, 413, 422) is sent again in halves, down to the text that it refuses. `cutting` says how
texts are cut where a greatest length is given. Any other refusal, and an answer that is not one vector of one width per
text, ends the run with one line.

The key comes from an environment variable and is sent to the server alone; it is taken out of every message.

A server's model may change under its name. So each start asks for the vector of one short fixed text; it is compared to
those that earlier starts got (kept beside the vectors), and a model that answers otherwise is another model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.cutting import Cut, Shortened
from xlir_bench.encoders.embeddings_api import Client, Endpoint, RefusedError
from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.errors import InputError, MissingResourceError, printable
from xlir_bench.files import cache_folder, replacing

NAME = "openai"
TEXTS_PER_REQUEST = 128
CONCURRENT = 8
_PROBE = "The quick brown fox jumps over the lazy dog."
_SAME = 0.999
_WHOLE = Cut()
# To be raised when other vectors come from the same server and settings: stored ones are then not used again.
_SCHEME = 2

ROUNDING = 0.045
"""Relative difference of two vectors whose cosine is `_SAME`: servers round differently from call to call."""


@dataclass
class _Answers:
    """What a group of texts got: positions and vectors of those that were answered, and what stopped the others."""

    parts: list[tuple[npt.NDArray[np.int64], Vectors]] = field(default_factory=list)
    error: Exception | None = None
    whole: bool = True
    """Whether no single text was refused or cut: then a refusal was about the request, not about a text in it."""


class ServerEncoder:
    """A model behind an endpoint; see the module.

    Args:
        endpoint: where it is.
        prompts: put before the texts of each role.
        cut: where texts are cut; nowhere by default.
    """

    def __init__(self, endpoint: Endpoint, prompts: Mapping[Role, str], cut: Cut = _WHOLE) -> None:
        self.endpoint, self.prompts, self.cut = endpoint, dict(prompts), cut
        self.shortened = Shortened()
        self._client = Client(endpoint)
        self._per_request = TEXTS_PER_REQUEST

    @property
    def dimensions(self) -> int:
        """Numbers per vector, or 0 before the first answer."""
        return self._client.width or 0

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
        sent = [self.cut(self.prompts[role] + text) for text in texts]
        filled = np.array([bool(text.strip()) for text in sent], dtype=np.bool_)
        waiting = np.flatnonzero(filled)
        self._client.stopping.clear()
        failure: Exception | None = None
        with ThreadPoolExecutor(CONCURRENT, thread_name_prefix="embed") as pool:
            flying: set[Future[_Answers]] = set()
            begin = 0
            try:
                while True:
                    while failure is None and begin < len(waiting) and len(flying) < CONCURRENT:
                        at = waiting[begin : begin + self._per_request]
                        flying.add(pool.submit(self._answered, at, [sent[row] for row in at.tolist()]))
                        begin += len(at)
                    if not flying:
                        break
                    done, flying = wait(flying, return_when=FIRST_COMPLETED)
                    for future in done:
                        error = future.exception()
                        answers = future.result() if error is None else _Answers()
                        yield from answers.parts
                        error = error or answers.error
                        if failure is None and isinstance(error, Exception):
                            failure = error
                            self._client.stopping.set()
            finally:
                self._client.stopping.set()
        if failure is not None:
            raise failure
        if not filled.all():
            self._client.stopping.clear()
            empty = np.flatnonzero(~filled)
            width = self._client.width or self.request([_PROBE]).shape[1]
            yield empty, np.zeros((len(empty), width), np.float32)

    def _answered(self, at: npt.NDArray[np.int64], texts: list[str]) -> _Answers:
        """Ask for some texts; what the server refuses is asked for in halves. At most one text is found at fault."""
        try:
            return _Answers([(at, self._client.request(texts))])
        except RefusedError as refusal:
            if len(texts) == 1:
                return self._one(at, texts[0], refusal)
        except (InputError, MissingResourceError) as error:
            return _Answers(error=error)
        found, half = _Answers(), (len(texts) + 1) // 2
        for part in (slice(half), slice(half, None)):
            if found.error is not None or self._client.stopping.is_set():
                return found
            answers = self._answered(at[part], texts[part])
            found.parts += answers.parts
            found.error, found.whole = answers.error, found.whole and answers.whole
        if found.error is None and found.whole:
            self._per_request = min(self._per_request, half)
        return found

    def _one(self, at: npt.NDArray[np.int64], text: str, refusal: RefusedError) -> _Answers:
        """A text that was refused by itself: shorter, if it may be cut and its length is the reason."""
        for shorter in self.cut.shorter(text) if refusal.too_long else ():
            try:
                vectors = self._client.request([shorter])
            except RefusedError as again:
                if not again.too_long:
                    break
            except (InputError, MissingResourceError) as error:
                return _Answers(error=error)
            else:
                self.shortened.add(text)
                return _Answers([(at, vectors)], whole=False)
        return _Answers(error=self._refused([text], refusal), whole=False)

    def abridged(self, texts: Sequence[str], *, role: Role) -> dict[str, int]:
        """See `protocol.Abridging`."""
        counts = {"empty": 0, "cut": 0}
        for text in texts:
            whole = self.prompts[role] + text
            sent = self.cut(whole)
            counts["empty"] += not sent.strip()
            counts["cut"] += sent != whole or sent in self.shortened
        return {kind: number for kind, number in counts.items() if number}

    def request(self, texts: list[str]) -> Vectors:
        """Vectors of the texts of one request, shape (texts, dimensions), asked for until the server answers.

        Raises:
            InputError: the server refuses or answers with something else than vectors.
            MissingResourceError: it cannot be reached, or stays busy.
        """
        try:
            return self._client.request(texts)
        except RefusedError as refusal:
            raise self._refused(texts, refusal) from None

    def _refused(self, texts: list[str], refusal: RefusedError) -> InputError:
        """The one text that is at fault, and what can be done about it."""
        mend = "what was encoded before is kept"
        if refusal.too_long:
            limit = self.cut.max_length
            mend = (
                f"give --max-length N{f' below {limit:,}' if limit else ''}, and texts are cut after N tokens; {mend}"
            )
        return InputError(
            f'{self._client} refused the text "{printable(texts[0], 60)}" of {len(texts[0]):,} characters '
            f"({refusal}); {mend}"
        )


def identity(encoder: ServerEncoder) -> str:
    """The fingerprint: SHA-256 of address, model, prompts, cut, and of the first vector that a probe text ever got.

    Servers round differently from call to call, so a vector that is the same but for rounding counts as that first one.

    Raises:
        InputError: the server refuses.
        MissingResourceError: the server cannot be reached.
    """
    endpoint = encoder.endpoint
    declared = json.dumps(
        [
            _SCHEME,
            endpoint.url.rstrip("/"),
            endpoint.model,
            endpoint.dimensions,
            endpoint.revision,
            sorted(encoder.prompts.items()),
            encoder.cut.max_length,
            encoder.cut.digest,
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
    encoder.shortened = Shortened(folder / f"{digest.hexdigest()[:16]}.shortened")
    return digest.hexdigest()


def _cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-30))
