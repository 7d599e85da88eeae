"""A model on a corpus of any size: queries and judged documents first, then the corpus shard by shard.

What is held: the vectors of queries and judged documents, the counts, and two shards (one is made while one is
counted). Vectors are dropped as soon as they are counted, or kept as float16 for the next run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import numpy as np

from xlir_bench.collection import Collection, Integers, Texts
from xlir_bench.encoders import Encoder, Lookup, Model, VectorCache, Vectors, encode_texts
from xlir_bench.encoders.returned import check_same_width
from xlir_bench.encoders.verification import StoredCheck, packed_sample
from xlir_bench.engines.local import count_locally
from xlir_bench.engines.records import Records, forget_all
from xlir_bench.engines.storage import Storage, storage
from xlir_bench.engines.work import Counted, JudgedTexts, ShardWork, half, packed, unpacked
from xlir_bench.errors import InputError
from xlir_bench.files import cache_folder
from xlir_bench.interrupts import keeps
from xlir_bench.progress import SILENT, Progress, Stage
from xlir_bench.retrieval import Heads, RankTable, Search, Shard, Wanted, default_heads, plan_shards, rank_table
from xlir_bench.version import __version__

STREAMED_ABOVE = 1_000_000
"""Documents above which a corpus is streamed without being asked for; below, vectors are cached text by text."""

DEFAULT_SHARD = 131_072
"""Documents per shard: 200 MB of float32 vectors with 384 dimensions."""

Engine = Callable[[ShardWork, Texts, Sequence[Shard], Records, Stage], Counted]
"""What does the work: `local.count_locally`, or a `ray.RayEngine`."""

_FORMAT = 1
_FIRST = "first.vectors"
_SAMPLE = "sample.vectors"


@dataclass(frozen=True)
class Streaming:
    """How to stream.

    Attributes:
        shard_size: documents per shard. It changes no count.
        keep: where vectors are kept, a folder or a URL (see `engines.storage`); they are rounded to float16, and so
            are those of the judged documents. None drops them.
        records: where counts of shards are kept until the run is finished; by default in the cache folder.
        engine: what does the work. It changes no count.
        cache: for the vectors of queries and judged documents.
    """

    shard_size: int = DEFAULT_SHARD
    keep: str | None = None
    records: str | None = None
    engine: Engine = count_locally
    cache: VectorCache | None = None


@dataclass(frozen=True)
class Streamed:
    """What streaming gave.

    Attributes:
        ranks: as `retrieval.count_outranked` gives them.
        encode_s: seconds in which vectors were made or read; some of them while counting went on.
        encoded: distinct texts that the model was given.
        from_cache: texts whose vectors were there already.
        records: to be cleared when the result is written.
        check: of a model that is code.
    """

    ranks: RankTable
    encode_s: float
    encoded: int
    from_cache: int
    records: Records
    check: StoredCheck | None = None


def streamable(model: Model) -> Encoder | Lookup:
    """What gives the model's vectors.

    Raises:
        InputError: it has none.
    """
    if isinstance(model.retriever, Encoder | Lookup):
        return model.retriever
    raise InputError(
        f"{model.info.id} indexes the whole pool at once and cannot be streamed: leave out --shard-size, "
        "--keep-embeddings, --records and --engine"
    )


def stream(
    model: Model,
    collection: Collection,
    streaming: Streaming,
    *,
    across_languages: bool,
    heads: Heads | None = None,
    progress: Progress = SILENT,
) -> Streamed:
    """Ranks of all relevant documents, with no more than two shards of the corpus in memory.

    Args:
        model: with vectors; one that indexes a whole pool cannot stream.
        collection: its documents may lie on disk.
        streaming: how.
        across_languages: see `retrieval.count_outranked`.
        heads: how much of the top of each ranking is stored; see `retrieval.Heads`.
        progress: called with the number of documents counted.

    Raises:
        InputError: the model has no vectors, or what it gives is not usable; the message names the shard.
        MissingResourceError: what is to be kept cannot be written.
    """
    retriever, info = streamable(model), model.info
    since = perf_counter()
    heads = heads or default_heads(across_languages)
    wanted = Wanted.of(collection, across_languages=across_languages, judged=heads.judged)
    place = _place(model, collection, streaming, (across_languages, heads))
    kept = _kept(model, collection, streaming)
    check = StoredCheck.of(model, collection)
    if check is not None:
        place, kept = _verified(place, check, "counts of shards"), _verified(kept, check, "kept embeddings")
    first = _first_pass(model, collection, wanted, (streaming, place), progress)
    search = Search.of(wanted, first.queries, first.judged, info.similarity, heads)
    judged = JudgedTexts(_rows(collection.documents, wanted.judged), first.judged)
    work = ShardWork(retriever, info, search, judged, kept)
    records = Records(place)
    shards = plan_shards(len(collection.documents), streaming.shard_size)
    stage = progress.stage("encoding and ranking", len(collection.documents), "documents")
    before = perf_counter() - since
    with keeps("the shards counted are kept: the same command goes on from there") if place else nullcontext():
        counted = streaming.engine(work, collection.documents, shards, records, stage)
    return Streamed(
        rank_table(wanted, collection, counted.counts),
        min(before + counted.encode_s, perf_counter() - since),
        first.encoded + counted.encoded,
        first.from_cache + counted.kept,
        records,
        check,
    )


def _verified(place: Storage | None, check: StoredCheck, what: str) -> Storage | None:
    """A storage, without what it held of the model if that is stale; None if the model does not repeat itself."""
    if place is None:
        return None
    if check.confirms(place.read(_SAMPLE), what):
        return place
    forget_all(place)
    if not check.repeats():
        return None
    place.write(_SAMPLE, packed_sample(check.sample()))
    return place


@dataclass(frozen=True)
class _FirstPass:
    """Vectors of the queries that search and of the judged documents."""

    queries: Vectors
    judged: Vectors
    encoded: int
    from_cache: int


def _first_pass(
    model: Model,
    collection: Collection,
    wanted: Wanted,
    keeping: tuple[Streaming, Storage | None],
    progress: Progress,
) -> _FirstPass:
    """Encoded, or as an earlier attempt at this run had them: its counts belong to those to the last bit."""
    streaming, place = keeping
    shape = len(wanted.queries), len(wanted.judged)
    content = place.read(_FIRST) if place is not None else None
    vectors = unpacked(content) if content is not None else None
    if vectors is not None and len(vectors) == sum(shape):
        return _FirstPass(vectors[: shape[0]], vectors[shape[0] :], 0, len(vectors))
    retriever, info = cast(Encoder | Lookup, model.retriever), model.info
    asking, judged = _rows(collection.queries, wanted.queries), _rows(collection.documents, wanted.judged)
    cache = streaming.cache
    if info.verify_stored and isinstance(retriever, Encoder):
        cache = StoredCheck(model, {"query": asking, "document": judged}).usable(cache)
    queries = encode_texts(retriever, info, asking, "query", cache=cache, progress=progress)
    answers = encode_texts(retriever, info, judged, "document", cache=cache)
    rounded = answers.vectors if streaming.keep is None else half(answers.vectors).astype(np.float32)
    check_same_width(info, queries.vectors, rounded)
    if place is not None:
        place.write(_FIRST, packed(np.concatenate([queries.vectors, rounded])))
    return _FirstPass(
        queries.vectors, rounded, queries.encoded + answers.encoded, queries.from_cache + answers.from_cache
    )


def _rows(texts: Texts, rows: Integers) -> Texts:
    at = rows.tolist()
    return Texts([texts.ids[n] for n in at], [texts.texts[n] for n in at], [texts.languages[n] for n in at])


def _kept(model: Model, collection: Collection, streaming: Streaming) -> Storage | None:
    if streaming.keep is None:
        return None
    if not model.info.fingerprint:
        raise InputError(f"{model.info.id} has no fingerprint, so nobody could tell whose vectors were kept")
    return storage(streaming.keep).below(_digest("vectors", model.info.vector_key, collection.fingerprint))


def _place(model: Model, collection: Collection, streaming: Streaming, wanted: tuple[bool, Heads]) -> Storage | None:
    """Where the records of this very run are; None where a model has no fingerprint to know it by."""
    if not model.info.fingerprint:
        return None
    place = storage(streaming.records or str(cache_folder() / "shards"))
    run = (_FORMAT, __version__, model.info.fingerprint, model.info.similarity, collection.fingerprint)
    return place.below(_digest(*run, streaming.shard_size, streaming.keep is not None, *wanted))


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
