"""The engine of one machine: while a shard is counted, the next one is prepared and the last one added up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from xlir_bench.collection import Texts
from xlir_bench.engines.records import Node, Records
from xlir_bench.engines.work import Counted, Prepared, ShardWork
from xlir_bench.progress import Stage
from xlir_bench.retrieval import Counts, Shard, merge, texts_of

_TURN = 0.0005
"""Seconds after which a thread hands on Python's lock to one that waits; 5 ms by default."""


def count_locally(
    work: ShardWork, documents: Texts, shards: Sequence[Shard], records: Records, stage: Stage
) -> Counted:
    """Counts of a whole corpus.

    Args:
        work: what is done with each shard.
        documents: the corpus, which may lie on disk.
        shards: all of it.
        records: where counts are kept until the run is finished.
        stage: called with the number of documents counted.

    Raises:
        XlirError: see `ShardWork`.
    """
    plan = list(records.cover(len(shards)))
    missing = [shards[node.number] for node, counts in plan if counts is None]
    coming = _ahead(partial(work.prepare, progress=_Noting(stage)), documents, missing)
    total = _Sum(work, records, stage)
    with _short_turns(), ThreadPoolExecutor(1) as behind:
        last: Future[None] | None = None
        for node, known in plan:
            counts: Counts | tuple[Prepared, float]
            if known is None:
                prepared = next(coming)
                counts = prepared, work.enter(prepared)
            else:
                counts = known
            if last is not None:
                last.result()
            last = behind.submit(total.add, node, counts)
        if last is not None:
            last.result()
    return total.counted()


@contextmanager
def _short_turns() -> Iterator[None]:
    """Threads that count need the lock for microseconds, between products; one that prepares texts has it for long."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(_TURN, usual))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class _Sum:
    """What shards gave, neighbours merged as far as they make up a whole."""

    def __init__(self, work: ShardWork, records: Records, stage: Stage) -> None:
        self._work, self._records, self._stage = work, records, stage
        self._merged: list[tuple[Node, Counts]] = []
        self._encode_s = self._rank_s = 0.0
        self._encoded = self._kept = 0

    def add(self, node: Node, given: Counts | tuple[Prepared, float]) -> None:
        """Add a node to those before it: counts that were kept, or a shard that is to be closed and kept."""
        if isinstance(given, Counts):
            counts = given
        else:
            counted = self._work.close(*given)
            counts = counted.counts
            self._records.save(node, counts)
            self._encode_s, self._rank_s = self._encode_s + counted.encode_s, self._rank_s + counted.rank_s
            self._encoded, self._kept = self._encoded + counted.encoded, self._kept + counted.kept
        self._stage.advance(counts.documents)
        self._merged.append((node, counts))
        while len(self._merged) > 1 and self._merged[-2][0].is_left_of(self._merged[-1][0]):
            (left, one), (_, other) = self._merged[-2:]
            both = merge(one, other)
            self._records.save(left.parent, both)
            self._merged[-2:] = [(left.parent, both)]

    def counted(self) -> Counted:
        """All of it."""
        counts = self._merged[0][1]
        for _, other in self._merged[1:]:
            counts = merge(counts, other)
        return Counted(counts, self._encode_s, self._rank_s, self._encoded, self._kept)


class _Noting:
    """Progress within a shard, as a note beside the stage of all."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def stage(self, name: str, total: int, unit: str) -> _Noting:
        """See `Progress.stage`."""
        self._name, self._total, self._unit, self._done = name, total, unit, 0
        return self

    def advance(self, steps: int = 1) -> None:
        """See `Stage.advance`."""
        self._done += steps
        self.note(f"{self._name}: {self._done:,} of {self._total:,} {self._unit} of a shard")

    def note(self, text: str) -> None:
        """See `Stage.note`."""
        self._stage.note(text)


def _ahead(
    prepare: Callable[[Shard, Texts], Prepared], documents: Texts, shards: Sequence[Shard]
) -> Iterator[Prepared]:
    """Each shard, prepared one ahead of what was asked for."""
    with ThreadPoolExecutor(1) as thread:
        coming: Future[Prepared] | None = None
        for shard in shards:
            following = thread.submit(lambda shard: prepare(shard, texts_of(shard, documents)), shard)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()
