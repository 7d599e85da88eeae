"""Small pair stores in invented languages, for tests of training."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from xlir_bench.training.store import Pair, as_tables, write_pairs

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


@cache
def word(concept: int, language: int, sense: int = 0) -> str:
    """An invented word: every concept has another name in every language, and in every sense."""
    rng = np.random.default_rng([concept, language, sense])
    return "".join(rng.choice(list(CONSONANTS)) + rng.choice(list(VOWELS)) for _ in range(3))


def text(concepts: Iterable[int], language: int, sense: int = 0) -> str:
    return " ".join(word(int(concept), language, sense) for concept in concepts)


def table(pairs: Iterable[Pair]) -> pa.Table:
    return pa.concat_tables(list(as_tables(pairs)))


def save(path: Path, pairs: Iterable[Pair]) -> Path:
    write_pairs(path, as_tables(pairs))
    return path


def parallel(
    records: int, languages: Iterable[str] = ("de", "en", "sw"), *, dataset: str = "toy", first: int = 0
) -> list[Pair]:
    """Every record in every language, the query in x with the document in y for all x and y."""
    names = list(languages)
    rows = []
    for record in range(first, first + records):
        concepts = np.random.default_rng([7, record]).choice(120, size=8, replace=False)
        for x, spoken in enumerate(names):
            for y, written in enumerate(names):
                query, document = text(concepts[:4], x), text(concepts, y)
                rows.append(Pair(query, document, spoken, written, str(record), dataset))
    return rows
