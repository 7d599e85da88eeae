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
            for language in range(bounds.shape[0] - 1):
                before = row[bounds[language] : split[language]]
                behind = row[split[language] : bounds[language + 1]]
                wins = 0
                for i in range(before.shape[0]):
                    wins += before[i] >= own
                for i in range(behind.shape[0]):
                    wins += behind[i] > own
                outranked[j, language] = wins
            equal = 0
            for i in range(row.shape[0]):
                equal += row[i] == own
            tied[j] = equal > 1
    return True


try:
    count_block = njit(_count_block, nogil=True, cache=True)
except RuntimeError:  # nowhere to keep the compiled code: a read-only installation without a home
    count_block = njit(_count_block, nogil=True)
