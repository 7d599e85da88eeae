"""The inner loop of counting, compiled. Imported only when ranks are counted: numba takes a second to load."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit


def _count_block(  # noqa: PLR0913, PLR0917  (a compiled loop takes arrays, not objects)
    scores: npt.NDArray[np.float32],
    starts: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    splits: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
    outranked: npt.NDArray[np.int32],
    tied: npt.NDArray[np.bool_],
    ahead: npt.NDArray[np.int32],
) -> bool:
    """Count, for a block of queries, the documents of each language that outrank each of their judged documents.

    Columns stand language by language, and within a language by document id, descending. A tie goes to the greater
    id: before the judged document's place a rival wins with an equal score, behind it only with a greater one.

    Args:
        scores: (queries, documents).
        starts: the judgements of query q are those from starts[q] to starts[q + 1]; (queries + 1,).
        columns: the column of each judged document; (judgements,).
        splits: for each column and language, the first column of the language whose id is not greater;
            (documents, languages).
        bounds: language l has the columns from bounds[l] to bounds[l + 1]; (languages + 1,).
        outranked: is filled; (judgements, languages).
        tied: is filled: whether another document of the pool has the same score; (judgements,).
        ahead: is filled: documents of the pool with a greater score; (judgements,).

    Returns:
        Whether every score is a finite number or minus infinity (an excluded document).
    """
    for q in range(scores.shape[0]):
        row = scores[q]
        unusable = 0
        for i in range(row.shape[0]):
            unusable += not row[i] < np.inf
        if unusable:
            return False
        for j in range(starts[q], starts[q + 1]):
            own = row[columns[j]]
            split = splits[columns[j]]
            greater = 0
            not_less = 0
            for language in range(bounds.shape[0] - 1):
                before = row[bounds[language] : split[language]]
                behind = row[split[language] : bounds[language + 1]]
                # Two sums per pass: documents that win, and those whose score alone beats or equals the judged one.
                wins = 0
                for i in range(before.shape[0]):
                    wins += before[i] >= own
                    greater += before[i] > own
                behind_wins = 0
                for i in range(behind.shape[0]):
                    behind_wins += behind[i] > own
                    not_less += behind[i] >= own
                outranked[j, language] = wins + behind_wins
                greater += behind_wins
                not_less += wins
            tied[j] = not_less - greater > 1
            ahead[j] = greater
    return True


_STRIDE = 16
_SPARE = 10


def _lead_block(
    scores: npt.NDArray[np.float32],
    by_id: npt.NDArray[np.int32],
    place: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
) -> None:
    """Find, for a block of queries, the first documents of the ranking.

    A score that some more than `depth` others beat is guessed from every 16th column; only what beats or equals it is
    sorted. Where the guess left too few, everything is sorted.

    Args:
        scores: (queries, documents); minus infinity is a document that the ranking leaves out.
        by_id: columns in the order of their documents' ids, descending: a tie goes to the first; (documents,).
        place: the place of each column in `by_id`; (documents,).
        columns: is filled: the columns of the first documents, best first, then -1; (queries, depth).
    """
    depth, width = columns.shape[1], scores.shape[1]
    keys = np.empty(width, np.uint64)
    sampled = (width + _STRIDE - 1) // _STRIDE
    best = np.empty(depth // _STRIDE + _SPARE, np.float32)
    for q in range(scores.shape[0]):
        row = scores[q]
        bits = row.view(np.uint32)
        least = _nth_best(row, best) if sampled > best.shape[0] else np.float32(-np.inf)
        count = _keys_above(row, place, least, keys)
        # Many documents may tie at the guess (a lexical model's zeros): take no more of them than there is room for.
        if least > -np.inf:
            at = 0
            while count < depth and at < width:
                if row[by_id[at]] == least:
                    keys[count] = _key(bits[by_id[at]], at)
                    count += 1
                at += 1
            if count < depth:
                count = _keys_above(row, place, np.float32(-np.inf), keys)
        kept = min(count, depth)
        ordered = np.sort(keys[:count])
        for n in range(kept):
            columns[q, n] = by_id[np.int64(ordered[n] & np.uint64(0xFFFFFFFF))]
        for n in range(kept, depth):
            columns[q, n] = -1


def _nth_best_of_sample(row: npt.NDArray[np.float32], best: npt.NDArray[np.float32]) -> np.float32:
    """The n-th greatest of every 16th score, n being the length of `best`, which is overwritten."""
    best[:] = -np.inf
    for i in range(0, row.shape[0], _STRIDE):
        if row[i] > best[-1]:
            at = best.shape[0] - 1
            while at > 0 and best[at - 1] < row[i]:
                best[at] = best[at - 1]
                at -= 1
            best[at] = row[i]
    return best[-1]


def _collect_keys(
    row: npt.NDArray[np.float32], place: npt.NDArray[np.int32], least: np.float32, keys: npt.NDArray[np.uint64]
) -> int:
    """Fill `keys` with the sorting keys of the scores above `least`; gives how many there are."""
    count = 0
    bits = row.view(np.uint32)
    for i in range(row.shape[0]):
        keys[count] = np.uint64(i)
        count += row[i] > least
    for n in range(count):
        column = np.int64(keys[n])
        keys[n] = _key(bits[column], place[column])
    return count


def _sorting_key(bits: np.uint32, place: int) -> np.uint64:
    """A number that is smaller for a greater score and, of equal scores, for the smaller place (its lower 32 bits).

    The bits of a float order as the number does, once the negative ones are turned round; minus zero equals zero.
    """
    own = np.uint64(bits)
    if own == np.uint64(0x80000000):
        own = np.uint64(0)
    falling = own if own >> np.uint64(31) else own ^ np.uint64(0x7FFFFFFF)
    return (falling << np.uint64(32)) | np.uint64(place)


try:
    _key = njit(_sorting_key, nogil=True, cache=True)
    _nth_best = njit(_nth_best_of_sample, nogil=True, cache=True)
    _keys_above = njit(_collect_keys, nogil=True, cache=True)
    count_block = njit(_count_block, nogil=True, cache=True)
    lead_block = njit(_lead_block, nogil=True, cache=True)
except RuntimeError:  # nowhere to keep the compiled code: a read-only installation without a home
    _key = njit(_sorting_key, nogil=True)
    _nth_best = njit(_nth_best_of_sample, nogil=True)
    _keys_above = njit(_collect_keys, nogil=True)
    count_block = njit(_count_block, nogil=True)
    lead_block = njit(_lead_block, nogil=True)
