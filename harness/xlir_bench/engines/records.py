"""What of a run is done: counts of shards on disk, merged two by two, so that few and small files are left.

    <place>/<fingerprint of the run>/<level>-<number>.counts

A record of level 0 is of one shard, one of level n of 2^n shards beginning with `number * 2^n`. Two neighbours become
one of the next level; they are deleted after it is there, so that a run that is killed at any instant goes on from what
is left. Whatever engine wrote a record, any may read it: the key is all that can change a count.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xlir_bench.engines.storage import Storage
from xlir_bench.retrieval import Counts
from xlir_bench.retrieval.counts import Best

_SUFFIX = ".counts"
_OURS = re.compile(r"[0-9]+-[0-9]+\.(?:counts|half)|(?:first|sample)\.vectors")


@dataclass(frozen=True)
class Node:
    """The shards from `number * 2**level` on, 2^level of them."""

    level: int
    number: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.level}-{self.number}{_SUFFIX}"

    @property
    def shards(self) -> range:
        """Numbers of its shards."""
        return range(self.number << self.level, (self.number + 1) << self.level)

    @property
    def parent(self) -> Node:
        """The node of twice as many shards that holds this one."""
        return Node(self.level + 1, self.number // 2)

    def is_left_of(self, other: Node) -> bool:
        """Whether the two make up their parent, in this order."""
        return self.level == other.level and self.number % 2 == 0 and other.number == self.number + 1


class Records:
    """The records of one run. Goes through pickle where its storage does.

    Args:
        storage: of this run alone; None keeps nothing.
    """

    def __init__(self, storage: Storage | None) -> None:
        self._storage = storage

    def load(self, node: Node) -> Counts | None:
        """The counts of a node; None where they are not there, or damaged."""
        content = self._storage.read(node.name) if self._storage is not None else None
        return _unpacked(content) if content is not None else None

    def save(self, node: Node, counts: Counts) -> None:
        """Keep the counts of a node, then forget those of its two halves.

        Raises:
            MissingResourceError: they cannot be written.
        """
        if self._storage is None:
            return
        self._storage.write(node.name, _packed(counts))
        if node.level:
            for half in (2 * node.number, 2 * node.number + 1):
                self._storage.delete(Node(node.level - 1, half).name)

    def cover(self, shards: int) -> Iterator[tuple[Node, Counts | None]]:
        """Nodes that make up all shards, in order: the largest that are there, and single shards where none is."""
        present = {name for name in self._storage.names() if name.endswith(_SUFFIX)} if self._storage else set()
        levels = range(max(shards - 1, 0).bit_length(), 0, -1)
        at = 0
        while at < shards:
            fitting = (Node(level, at >> level) for level in levels if at % (1 << level) == 0)
            found = next(
                (
                    (node, counts)
                    for node in fitting
                    if node.name in present and node.shards.stop <= shards and (counts := self.load(node)) is not None
                ),
                None,
            )
            leaf = Node(0, at)
            node, counts = found or (leaf, self.load(leaf) if leaf.name in present else None)
            yield node, counts
            at = node.shards.stop

    def clear(self) -> None:
        """Forget all that is kept of the run: it is finished."""
        if self._storage is not None:
            forget_all(self._storage)


def forget_all(kept: Storage) -> None:
    """Delete all that runs keep in a place; files of other names stay."""
    for name in kept.names():
        if _OURS.fullmatch(name):
            kept.delete(name)


def _packed(counts: Counts) -> bytes:
    arrays: dict[str, npt.NDArray[Any]] = {"outranked": counts.outranked, "ahead": counts.ahead, "level": counts.level}
    arrays["documents"] = np.array(counts.documents)
    if counts.best is not None:
        best = counts.best
        ids = json.dumps(list(best.ids)).encode()
        arrays |= {"score": best.score, "row": best.row, "rows": best.rows, "ids": np.frombuffer(ids, np.uint8)}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def _unpacked(content: bytes) -> Counts | None:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            best = None
            if "score" in arrays:
                ids = json.loads(arrays["ids"].tobytes())
                best = Best(arrays["score"], arrays["row"], arrays["rows"], ids)
            documents = int(arrays["documents"])
            return Counts(arrays["outranked"], arrays["ahead"], arrays["level"], documents, best)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
