"""Which document answers which query, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xlir_bench.errors import InputError

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judgements:
    """Which document answers which query.

    Attributes:
        query: position in the collection's queries, shape (judgements,), ascending.
        document: position in its documents, shape (judgements,).
        gain: graded relevance; above 0 is relevant, anything else is judged and not relevant; finite, shape
            (judgements,).
    """

    query: Integers
    document: Integers
    gain: npt.NDArray[np.float64]

    @staticmethod
    def of(triples: Iterable[tuple[int, int, float]]) -> Judgements:
        """From (query, document, gain) in any order; sorted by query, then document."""
        rows = sorted(triples)
        return Judgements(
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.int64),
            np.array([row[2] for row in rows], dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.query)


def check_pairs(pairs: Judgements, ids: tuple[Sequence[str], Sequence[str]], called: tuple[str, str]) -> None:
    """Check that judgements or exclusions are what `Judgements` promises.

    Args:
        pairs: what to check.
        ids: of the queries, and of the documents.
        called: "judgement" or "exclusion", and what to call their collection.

    Raises:
        InputError: they are not.
    """
    name, where = called
    shapes = [np.shape(column) for column in (pairs.query, pairs.document, pairs.gain)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise InputError(f"{where}: the arrays of {name}s have the shapes {', '.join(map(str, shapes))}")
    if not len(pairs):
        return
    if not all(np.issubdtype(np.asarray(rows).dtype, np.integer) for rows in (pairs.query, pairs.document)):
        raise InputError(f"{where}: {name}s name queries and documents by position; these are not whole numbers")
    if not np.issubdtype(np.asarray(pairs.gain).dtype, np.number) or not np.isfinite(pairs.gain).all():
        raise InputError(f"{where}: a {name} has a gain that is not a finite number")
    for kind, rows, side in (
        ("query", pairs.query, ids[0]),
        ("document", pairs.document, ids[1]),
    ):
        if rows.min() < 0 or rows.max() >= len(side):
            wrong = int(rows.min() if rows.min() < 0 else rows.max())
            raise InputError(f"{where}: a {name} points to {kind} {wrong}; there are {len(side)}")
    if (pairs.query[1:] < pairs.query[:-1]).any():
        raise InputError(f"{where}: {name}s are not in the order of their queries; make them with Judgements.of")
    keys = pairs.query.astype(np.int64) * len(ids[1]) + pairs.document
    if (keys[1:] > keys[:-1]).all():
        return
    keys = np.sort(keys)
    twice = keys[1:][keys[1:] == keys[:-1]]
    if len(twice):
        query, document = divmod(int(twice[0]), len(ids[1]))
        raise InputError(
            f"{where}: query {ids[0][query]!r} and document {ids[1][document]!r} "
            f"have more than one {name}; a pair is judged once"
        )
