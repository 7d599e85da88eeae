"""The engine of one machine: shards in order, the vectors of the next one made while one is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from xlir_bench.collection import Texts
from xlir_bench.engines.records import Node, Records
from xlir_bench.engines.work import Counted, ShardVectors, ShardWork
from xlir_bench.progress import Stage
from xlir_bench.retrieval import Counts, Shard, merge, texts_of


def count_locally(
    work: ShardWork, documents: Texts, shards: Sequence[Shard], records: Records, stage: Stage
) -> Counted:
    """Counts of a whole corpus.

    Args:
        work: what is done with each shard.
        documents: the corpus, which may lie on disk.
        shards: all of it.
        records: where counts are kept until the run is finished.
        stage: hears of documents counted.

    Raises:
        XlirError: see `ShardWork`.
    """
    plan = list(records.cover(len(shards)))
    encode_s = rank_s = 0.0
    encoded = kept = 0
    merged: list[tuple[Node, Counts]] = []
    todo = [shards[node.number] for node, counts in plan if counts is None]
    made = _ahead(work, documents, todo)
    for node, known in plan:
        counts = known
        if counts is None:
            shard, texts, vectors = next(made)
            counted = work.count(shard, texts, vectors)
            counts = counted.counts
            records.save(node, counts)
            encode_s, rank_s = encode_s + counted.encode_s, rank_s + counted.rank_s
            encoded, kept = encoded + counted.encoded, kept + counted.kept
        stage.advance(counts.documents)
        _push(merged, node, counts, records)
    total = merged[0][1]
    for _, counts in merged[1:]:
        total = merge(total, counts)
    return Counted(total, encode_s, rank_s, encoded, kept)


def _push(merged: list[tuple[Node, Counts]], node: Node, counts: Counts, records: Records) -> None:
    """Add counts to those before them, and merge neighbours as far as they make up a whole."""
    merged.append((node, counts))
    while len(merged) > 1 and merged[-2][0].is_left_of(merged[-1][0]):
        (left, one), (_, other) = merged[-2:]
        both = merge(one, other)
        records.save(left.parent, both)
        merged[-2:] = [(left.parent, both)]


def _ahead(work: ShardWork, documents: Texts, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Texts, ShardVectors]]:
    """Each shard with its texts and vectors, one ahead of what was asked for."""

    def make(shard: Shard) -> tuple[Shard, Texts, ShardVectors]:
        texts = texts_of(shard, documents)
        return shard, texts, work.vectors(shard, texts)

    with ThreadPoolExecutor(1) as thread:
        coming: Future[tuple[Shard, Texts, ShardVectors]] | None = None
        for shard in shards:
            following = thread.submit(make, shard)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()
