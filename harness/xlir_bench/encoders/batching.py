"""Batches of texts of similar length under a token budget that gives way where memory runs out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.checkpoint import Foreign, package
from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.errors import InputError, MissingResourceError

log = logging.getLogger(__name__)

Rows = npt.NDArray[np.int64]
Tokens = Sequence[int]

CHUNK = 1024
"""Texts tokenised at a time: while the model works on one chunk, the next is tokenised."""

_MOST = 1024
_NO_ROOM = (
    "out of memory",  # CUDA, MPS, XPU
    "can't allocate memory",  # torch on a CPU
    "not enough memory",  # the same, on Windows
    "invalid buffer size",  # MPS, of one tensor beyond what Metal takes
    "alloc_failed",  # cuBLAS and cuDNN, which have no room for a handle
    "failed to allocate memory",  # ONNX Runtime
)


def batches(lengths: Sequence[int], budget: int, most: int = _MOST) -> Iterator[Rows]:
    """Cut texts into batches of similar length, longest first, so that a batch's padded size fits a budget.

    Args:
        lengths: tokens of each text.
        budget: tokens of a batch, padding included; a text that is longer than it is a batch of its own.
        most: texts in a batch.

    Yields:
        Positions of texts; together they are all positions, once each.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    begin = 0
    while begin < len(order):
        longest = max(1, lengths[order[begin]])
        size = min(most, max(1, budget // longest))
        yield order[begin : begin + size]
        begin += size


def budget_for(device: str) -> int:
    """Padded tokens per batch: on a CPU what its caches like, on an accelerator what its free memory allows."""
    if device.startswith("cuda"):
        free, _ = package("torch", "a neural encoder").cuda.mem_get_info(device)
        # A token of a large encoder (1024 wide, float32) costs about 100 kB of activations; half the memory is spared.
        return int(np.clip(free // 200_000, 8192, 131_072))
    if device == "cpu":
        # Small batches stay in the caches and pad little; each is the work of one core, see `Pace.run`.
        return 2048
    return 16384


class Pace:
    """The token budget of one model on one device.

    Args:
        device: e.g. "cuda:0".
        budget: tokens per batch; `budget_for(device)` if none is given.
        most: texts per batch.
        side_by_side: whether the model may be called by several threads at once, and keeps to one core in each. What
            OpenVINO and ONNX Runtime load does not: the one refuses it, the other uses every core already.

    Attributes:
        report: called with the number of texts of each batch that is done, by the thread that called `run`.
    """

    report: Callable[[int], None] | None = None

    def __init__(
        self, device: str, budget: int | None = None, *, most: int | None = None, side_by_side: bool = True
    ) -> None:
        self.device = device
        self.side_by_side = side_by_side and device == "cpu"
        self.budget = budget or budget_for(device)
        self.most = most or _MOST

    def run(self, lengths: Sequence[int], forward: Callable[[Rows], Vectors]) -> Vectors:
        """What `forward` gives for all texts, shape (texts, dimensions), computed batch by batch.

        On a CPU each core has a batch of its own, which costs no waiting for one another inside every layer. A batch
        that does not fit into memory is halved, and so is the budget of all that follow.

        Args:
            lengths: tokens of each text; at least one.
            forward: from positions of texts to their vectors, in that order.

        Raises:
            MissingResourceError: a single text does not fit.
        """
        cuts = list(batches(lengths, self.budget, self.most))
        if self.side_by_side:
            try:
                return self._side_by_side(cuts, forward)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
        return self._one_by_one(cuts, lengths, forward)

    def _side_by_side(self, cuts: list[Rows], forward: Callable[[Rows], Vectors]) -> Vectors:
        torch = package("torch", "a neural encoder")
        cores = torch.get_num_threads()
        if cores == 1 or len(cuts) < cores:
            parts = self._reported(cuts, map(forward, cuts))
        else:
            try:
                with ThreadPoolExecutor(cores, "encode", initializer=torch.set_num_threads, initargs=(1,)) as workers:
                    parts = self._reported(cuts, workers.map(forward, cuts))
            finally:
                torch.set_num_threads(cores)  # a worker's setting reaches the whole process's matrix library
        result = np.empty((sum(len(at) for at in cuts), parts[0].shape[1]), np.float32)
        for at, vectors in zip(cuts, parts, strict=True):
            result[at] = vectors
        return result

    def _reported(self, cuts: list[Rows], made: Iterable[Vectors]) -> list[Vectors]:
        parts = []
        for at, vectors in zip(cuts, made, strict=True):
            parts.append(vectors)
            if self.report is not None:
                self.report(len(at))
        return parts

    def _one_by_one(self, cuts: list[Rows], lengths: Sequence[int], forward: Callable[[Rows], Vectors]) -> Vectors:
        waiting = cuts[::-1]
        result: Vectors | None = None
        while waiting:
            at = waiting.pop()
            vectors = self._tried(at, forward)
            if vectors is None:
                half = self._smaller(at, lengths)
                waiting += [at[half:], at[:half]]
                continue
            if result is None:
                result = np.empty((len(lengths), vectors.shape[1]), np.float32)
            result[at] = vectors
            if self.report is not None:
                self.report(len(at))
        assert result is not None  # there is at least one text, hence one batch
        return result

    def _tried(self, at: Rows, forward: Callable[[Rows], Vectors]) -> Vectors | None:
        """The vectors of one batch; None if there was no room. The error, which held tensors, is gone by then."""
        try:
            return forward(at)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _smaller(self, at: Rows, lengths: Sequence[int]) -> int:
        """Where to cut a batch that was too large; the budget becomes what the first half needs."""
        longest = max(1, lengths[at[0]])
        if len(at) == 1:
            raise MissingResourceError(
                f"{self.device} has too little free memory for one text of {longest} tokens: lower max_length in the "
                "manifest, free memory, or give --device cpu"
            )
        half = (len(at) + 1) // 2
        self.budget = min(self.budget, half * longest)
        log.warning("out of memory on %s: batches of at most %d tokens from here on", self.device, self.budget)
        kind = self.device.partition(":")[0]
        if kind in {"cuda", "mps", "xpu"}:
            getattr(package("torch", "a neural encoder"), kind).empty_cache()
        return half


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device had no room. Only CUDA has a type for it; the others say so in words."""
    if isinstance(error, MemoryError):
        return True
    # ONNX Runtime's exceptions are no RuntimeError.
    if not isinstance(error, RuntimeError) and not type(error).__module__.startswith("onnxruntime"):
        return False
    message = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(words in message for words in _NO_ROOM)


class TokenEncoder(ABC):
    """An encoder that is a tokenizer and a forward pass. The next chunk is tokenised while the model works on one.

    Attributes:
        pace: how much goes into a batch.
        prompts: the text put before each role's texts.
        dimensions: numbers per vector.
        truncate_dim: the first so many numbers of the model's vectors are kept; None for all of them.
    """

    pace: Pace
    prompts: Mapping[Role, str]
    dimensions: int
    truncate_dim: int | None = None

    @abstractmethod
    def tokenise(self, texts: Sequence[str], role: Role, languages: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with prompt and special tokens, cut to the greatest length."""

    @abstractmethod
    def forward(self, ids: Sequence[Tokens], languages: Sequence[str]) -> Vectors:
        """Vectors of one batch, shape (texts, dimensions)."""

    def truncate(self, dimensions: int | None) -> None:
        """Keep the first so many numbers of each vector from now on; all of them if it is None.

        Raises:
            InputError: the model's vectors are shorter.
        """
        if dimensions is None:
            return
        if dimensions > self.dimensions:
            raise InputError(
                f"truncate_dim (--truncate-dim) {dimensions} is more than the model's {self.dimensions} dimensions"
            )
        self.dimensions = self.truncate_dim = dimensions

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions). A text's vector does not depend on what it is batched with, up to rounding."""
        result = np.empty((len(texts), self.dimensions), np.float32)
        starts = range(0, len(texts), CHUNK)
        with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as ahead:

            def submit(start: int) -> Future[list[list[int]]]:
                part = slice(start, start + CHUNK)
                return ahead.submit(self.tokenise, texts[part], role, languages[part])

            waiting = submit(0) if len(texts) else None
            for start in starts:
                assert waiting is not None  # one is submitted for every start
                ids = waiting.result()
                if start + CHUNK < len(texts):
                    waiting = submit(start + CHUNK)
                codes = languages[start : start + CHUNK]
                result[start : start + len(ids)] = self._encoded(ids, codes)
        return result

    def lengths(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Rows:
        """Tokens of each text, shape (texts,); see `protocol.Tokenising`."""
        return np.array([len(ids) for ids in self.tokenise(texts, role, languages)], dtype=np.int64)

    def _encoded(self, ids: list[list[int]], languages: Sequence[str]) -> Vectors:
        def forward(at: Rows) -> Vectors:
            return self.forward([ids[row] for row in at], [languages[row] for row in at])[:, : self.truncate_dim]

        return self.pace.run([len(row) for row in ids], forward)


def token_ids(tokenizer: Foreign, texts: Sequence[str], limit: int | None) -> list[list[int]]:
    """Token ids of each text by a tokenizer of transformers, special ones included, cut at `limit` if there is one."""
    cut = {"truncation": True, "max_length": limit} if limit else {}
    tokens = tokenizer(list(texts), return_attention_mask=False, return_token_type_ids=False, **cut)
    ids: list[list[int]] = tokens["input_ids"]
    return ids


def padded(ids: Sequence[Tokens], padding: int, device: str) -> tuple[Foreign, Foreign | None]:
    """Token ids as a tensor, shape (texts, longest), and their mask: 1 for a token, 0 for padding.

    The mask is None where all texts are of one length: attention is faster without one.
    """
    torch = package("torch", "a neural encoder")
    lengths = np.array([len(row) for row in ids])
    longest = max(1, int(lengths.max()))
    mask = np.arange(longest) < lengths[:, None]
    filled = np.full((len(ids), longest), padding, dtype=np.int64)
    filled[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in ids])
    tokens = torch.from_numpy(filled).to(device)
    return tokens, None if mask.all() else torch.from_numpy(mask.astype(np.int64)).to(device)


def mean_of(states: Foreign, mask: Foreign | None) -> Foreign:
    """The mean of the token vectors that `mask` keeps, shape (texts, dimensions)."""
    if mask is None:
        return states.mean(1)
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1)
