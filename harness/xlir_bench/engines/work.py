"""One shard, from texts to counts: what an engine gives a worker to do."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Texts
from xlir_bench.encoders import Encoder, Lookup, ModelInfo, Vectors, encode_texts
from xlir_bench.encoders.encode import is_rounding
from xlir_bench.encoders.returned import check_same_width
from xlir_bench.engines.storage import Storage
from xlir_bench.errors import InputError, XlirError
from xlir_bench.progress import SILENT, Progress
from xlir_bench.retrieval import Counts, Search, Shard, enter_shard, open_accounts

if TYPE_CHECKING:
    from xlir_bench.retrieval.accounts import Accounts

_HEADER = 256
"""Bytes that the header of an .npy file of two dimensions stays within."""


@dataclass(frozen=True)
class Counted:
    """What one shard gave.

    Attributes:
        counts: of its documents.
        encode_s, rank_s: seconds.
        encoded: distinct texts that the model was given.
        kept: distinct texts whose vectors were there already.
    """

    counts: Counts
    encode_s: float = 0.0
    rank_s: float = 0.0
    encoded: int = 0
    kept: int = 0


@dataclass(frozen=True)
class JudgedTexts:
    """The judged documents, whose vectors were made before all others.

    A model sums in another order in another batch. Wherever a judged document's text occurs again, in its own shard or
    as another document, it must have the same vector, or it would outrank itself by a rounding.
    """

    texts: Texts
    vectors: Vectors
    _first: dict[str, list[int]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for row, text in enumerate(self.texts.texts):
            self._first.setdefault(text, []).append(row)

    def put_into(self, vectors: npt.NDArray[np.floating], texts: Texts) -> npt.NDArray[np.floating]:
        """Vectors in which texts that are judged have the vector that was scored; (documents, dimensions)."""
        found: dict[int, int] = {}
        for row, text in enumerate(texts.texts):
            for judged in self._first.get(text, ()):
                same = self.texts.languages[judged] == texts.languages[row]
                if same or is_rounding(vectors[row].astype(np.float32), self.vectors[judged]):
                    found[row] = judged
                    break
        if not found:
            return vectors
        result = np.require(vectors, requirements=["W"])
        result[list(found)] = self.vectors[list(found.values())]
        return result


@dataclass(frozen=True)
class ShardWork:
    """What every worker has: the model, the search, and where vectors are kept. `__call__` is the unit of work.

    Its parts, `prepare`, `enter` and `close`, may be done for three shards at once; only `enter` takes all cores.

    Attributes:
        retriever: the model.
        info: what it is.
        search: what is asked.
        judged: vectors of the judged documents; of no use to a `Lookup`, which gives an id the same vector always.
        kept: where vectors are kept as float16; None drops them as soon as they are counted.
        threads: how many count; by default one per core.
    """

    retriever: Encoder | Lookup
    info: ModelInfo
    search: Search
    judged: JudgedTexts
    kept: Storage | None = None
    threads: int | None = None

    def __call__(self, shard: Shard, texts: Texts, progress: Progress = SILENT) -> Counted:
        """Encode and count one shard.

        Args:
            shard: which documents these are.
            texts: theirs.
            progress: called with the number of texts encoded.

        Raises:
            XlirError: the model or its vectors are at fault; the message names the shard.
        """
        prepared = self.prepare(shard, texts, progress)
        return self.close(prepared, self.enter(prepared))

    def prepare(self, shard: Shard, texts: Texts, progress: Progress = SILENT) -> Prepared:
        """The first part of the work: vectors are read or made, ids are put in order."""
        vectors = self.vectors(shard, texts, progress)
        since = perf_counter()
        accounts = open_accounts(self.search, shard, texts)
        return Prepared(shard, texts, vectors, accounts, perf_counter() - since)

    def vectors(self, shard: Shard, texts: Texts, progress: Progress = SILENT) -> ShardVectors:
        """Those of a shard, read or made."""
        since = perf_counter()
        stored = self._read(shard, texts)
        if stored is not None:
            return ShardVectors(stored, perf_counter() - since, 0, len(texts))
        try:
            made = encode_texts(self.retriever, self.info, texts, "document", progress=progress)
            vectors: npt.NDArray[np.floating] = made.vectors
            check_same_width(self.info, self.search.vectors, made.vectors)
            if isinstance(self.retriever, Encoder):
                vectors = self.judged.put_into(vectors, texts)
            if self.kept is not None:
                vectors = half(vectors)
                self.kept.write(_name(shard), packed(vectors))
        except XlirError as error:
            raise type(error)(f"{shard}: {error}") from None
        return ShardVectors(vectors, perf_counter() - since, made.encoded, 0)

    def enter(self, prepared: Prepared) -> float:
        """The second part of the work: counting. Gives its seconds."""
        since = perf_counter()
        try:
            enter_shard(prepared.accounts, self.search, prepared.texts, prepared.made.vectors, self.threads)
        except XlirError as error:
            raise type(error)(f"{prepared.shard}: {error}") from None
        return perf_counter() - since

    def close(self, prepared: Prepared, enter_s: float) -> Counted:
        """The last part of the work: counts as they are kept and added up."""
        since = perf_counter()
        counts, made = prepared.accounts.counts(), prepared.made
        rank_s = prepared.open_s + enter_s + perf_counter() - since
        return Counted(counts, made.seconds, rank_s, made.encoded, made.kept)

    def _read(self, shard: Shard, texts: Texts) -> npt.NDArray[np.floating] | None:
        content = self.kept.read(_name(shard)) if self.kept is not None else None
        vectors = unpacked(content) if content is not None else None
        if vectors is None or vectors.shape != (len(texts), self.search.vectors.shape[1]):
            return None
        if isinstance(self.retriever, Encoder):
            return self.judged.put_into(vectors, texts)
        return vectors


@dataclass(frozen=True)
class ShardVectors:
    """Vectors of a shard, (documents, dimensions), with seconds, texts encoded and texts read."""

    vectors: npt.NDArray[np.floating]
    seconds: float
    encoded: int
    kept: int


@dataclass(frozen=True)
class Prepared:
    """A shard that is ready to be counted.

    Attributes:
        shard, texts: which documents, and what they say.
        made: their vectors.
        accounts: where what they count is entered.
        open_s: seconds that opening the accounts took.
    """

    shard: Shard
    texts: Texts
    made: ShardVectors
    accounts: Accounts
    open_s: float


def half(vectors: Vectors) -> npt.NDArray[np.float16]:
    """Vectors as they are kept.

    Raises:
        InputError: a number is too large for float16.
    """
    with np.errstate(over="ignore"):
        rounded = vectors.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise InputError("a vector has a number beyond 65,504, which float16 cannot hold: do not keep embeddings")
    return rounded


def _name(shard: Shard) -> str:
    return f"{shard.start}-{shard.stop}.half"


def packed(vectors: npt.NDArray[np.floating]) -> bytes:
    """An .npy file, and four bytes more: disks lose bits, and a wrong vector would go unseen."""
    content = io.BytesIO()
    np.save(content, vectors)
    check = zlib.crc32(content.getbuffer())
    content.write(check.to_bytes(4, "little"))
    return content.getvalue()


def unpacked(content: bytes) -> npt.NDArray[np.floating] | None:
    """What `packed` packed; None where it is damaged. Nothing is copied."""
    whole = memoryview(content)
    if len(whole) < 4 or zlib.crc32(whole[:-4]) != int.from_bytes(whole[-4:], "little"):
        return None
    header = io.BytesIO(whole[:_HEADER])
    np.lib.format.read_magic(header)
    shape, _, kind = np.lib.format.read_array_header_1_0(header)
    return np.frombuffer(whole, kind, shape[0] * shape[1], header.tell()).reshape(shape)
