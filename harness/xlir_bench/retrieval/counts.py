"""What is known after some of the documents: counts that add up, and the best documents so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Integers


@dataclass(frozen=True)
class Best:
    """The best documents of each ranking among those counted so far, best first: score, then id, both descending.

    Rankings are those of the queries; where each language of documents has its own, they are those of all queries in
    the first language, then those in the second, and so on.

    Attributes:
        score: minus infinity behind the end; (rankings, depth).
        row: position in the collection, -1 behind the end; (rankings, depth).
        rows: every position that occurs, and perhaps more, ascending; (documents,).
        ids: the ids of these documents: ties between shards are decided by them.
    """

    score: npt.NDArray[np.float32]
    row: Integers
    rows: Integers
    ids: Sequence[str]

    def id_of(self, row: int) -> str:
        """The id of a document that occurs."""
        return self.ids[int(np.searchsorted(self.rows, row))]


@dataclass(frozen=True)
class Counts:
    """Counts over some of the documents of a collection; over all of them they are the ranks.

    Attributes:
        outranked: documents of each language that come before the judged one, among those counted; (judgements,
            languages).
        ahead: documents with a greater score; (judgements,).
        level: documents with the same score, the judged one among them; (judgements,).
        documents: how many documents were counted.
        best: None where the search keeps none.
    """

    outranked: npt.NDArray[np.int32]
    ahead: npt.NDArray[np.int32]
    level: npt.NDArray[np.int32]
    documents: int
    best: Best | None


def merge(one: Counts, other: Counts) -> Counts:
    """Counts over the documents of both, which have none in common. Associative and commutative."""
    return Counts(
        one.outranked + other.outranked,
        one.ahead + other.ahead,
        one.level + other.level,
        one.documents + other.documents,
        better(one.best, other.best) if one.best is not None and other.best is not None else None,
    )


def better(one: Best, other: Best) -> Best:
    """The best of both, ranking by ranking; they have no document in common."""
    depth = one.score.shape[1]
    score = np.concatenate([one.score, other.score], axis=1)
    row = np.concatenate([one.row, other.row], axis=1)
    order = np.argsort(-score, axis=1, kind="stable")
    score, row = np.take_along_axis(score, order, axis=1), np.take_along_axis(row, order, axis=1)
    # Only ties that reach into the first `depth` are seen by anyone.
    tied = ((score[:, :-1] == score[:, 1:]) & (row[:, 1:] >= 0))[:, :depth].any(axis=1)
    for query in np.flatnonzero(tied).tolist():
        _order_ties(score[query], row[query], one, other)
    score, row = np.ascontiguousarray(score[:, :depth]), np.ascontiguousarray(row[:, :depth])
    rows = np.unique(row[row >= 0])
    return Best(score, row, rows, _ids(rows, one, other))


def _order_ties(score: npt.NDArray[np.float32], row: Integers, one: Best, other: Best) -> None:
    """Put documents of one score in the order of their ids, descending, in place; (documents,)."""
    bounds = np.flatnonzero(np.append(score[1:] != score[:-1], True)) + 1
    begin = 0
    for end in bounds.tolist():
        if end - begin > 1 and row[begin] >= 0:
            members = row[begin:end].tolist()
            ids = _ids(members, one, other)
            row[begin:end] = [member for _, member in sorted(zip(ids, members, strict=True), reverse=True)]
        begin = end


def _ids(rows: Sequence[int] | Integers, one: Best, other: Best) -> list[str]:
    wanted = np.asarray(rows, dtype=np.int64)
    at = np.searchsorted(one.rows, wanted)
    at[at == len(one.rows)] = 0
    inside = one.rows[at] == wanted if len(one.rows) else np.zeros(len(wanted), bool)
    there = np.searchsorted(other.rows, wanted)
    places = zip(inside.tolist(), at.tolist(), there.tolist(), strict=True)
    return [one.ids[mine] if is_mine else other.ids[theirs] for is_mine, mine, theirs in places]
