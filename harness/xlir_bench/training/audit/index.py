"""A suite's texts, laid out so that training texts can be looked up in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xlir_bench.collection import Collection
from xlir_bench.training.audit.rules import Rules
from xlir_bench.training.audit.units import Ints, Units, Words, grams_of, units_of, weights_of_texts, whole_texts

Side = Literal["query", "document"]
SIDES: tuple[Side, ...] = ("query", "document")

_CHARACTERS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class SuiteTexts:
    """Queries and documents of a suite in one numbering.

    Attributes:
        ids, texts, languages, sides: one each per text.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    languages: Sequence[str]
    sides: Sequence[Side]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Postings:
    """Where each of some values occurs.

    Attributes:
        keys: the distinct values, ascending, shape (keys,).
        bounds: key k occurs at the places from bounds[k] to bounds[k + 1], shape (keys + 1,).
        texts: the text of each place, shape (places,).
        positions: the unit of each place, counted from the text's beginning, shape (places,).
        likely: whether any key has these highest bits: tells most strangers at once.
    """

    keys: Words
    bounds: Ints
    texts: NDArray[np.int32]
    positions: NDArray[np.int32]
    likely: NDArray[np.bool_]

    @staticmethod
    def of(values: Words, texts: Ints, positions: Ints) -> Postings:
        """From places in any order, shape (places,) each."""
        order = np.argsort(values, kind="stable")
        keys, firsts = np.unique(values[order], return_index=True)
        likely = np.zeros(1 << _bits(len(keys)), dtype=np.bool_)
        likely[keys >> np.uint64(64 - _bits(len(keys)))] = True
        bounds = np.append(firsts, len(values)).astype(np.int64)
        return Postings(keys, bounds, texts[order].astype(np.int32), positions[order].astype(np.int32), likely)

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(part.nbytes for part in (self.keys, self.bounds, self.texts, self.positions, self.likely))

    def find(self, values: Words) -> tuple[Ints, Ints]:
        """Which of some values are keys: their places among `values`, and their keys, shape (found,) each."""
        if not len(self.keys):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        shift = np.uint64(64 - (len(self.likely).bit_length() - 1))
        at = np.flatnonzero(self.likely[values >> shift])
        key = np.minimum(np.searchsorted(self.keys, values[at]), len(self.keys) - 1)
        same = self.keys[key] == values[at]
        return at[same], key[same]

    def places(self, keys: Ints) -> tuple[Ints, Ints]:
        """Every place of some keys: which of `keys` it is of, and the place, shape (places,) each."""
        counts = self.bounds[keys + 1] - self.bounds[keys]
        of = np.repeat(np.arange(len(keys)), counts)
        first = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(keys) else np.zeros(0, dtype=np.int64)
        return of, np.arange(len(of)) - first[of] + self.bounds[keys][of]


@dataclass(frozen=True)
class SuiteIndex:
    """A suite, ready to be compared with.

    Attributes:
        texts: its texts.
        rules: what the lengths below follow from.
        weights: the weight of each text under `rules.gram`, shape (texts,).
        grams: where each gram is.
        gram_stops: the unit after each of the grams' places, counted from the text's beginning, shape (places,).
        shingles: in which texts each shingle is, once per text.
        shingle_counts: how many distinct shingles each text has, shape (texts,).
        wholes: hashes of the texts that are shorter than a gram; their `positions` are 0.
        unit_weights: the weight of every unit, text after text, shape (units,).
        starts: the first unit of each text among them, shape (texts + 1,).
    """

    texts: SuiteTexts
    rules: Rules
    weights: Ints
    grams: Postings
    gram_stops: NDArray[np.int32]
    shingles: Postings
    shingle_counts: Ints
    wholes: Postings
    unit_weights: Ints
    starts: Ints


def suite_texts(collection: Collection, sides: Sequence[Side] = SIDES) -> SuiteTexts:
    """The queries and documents of a collection, or one of the two."""
    ids: list[str] = []
    texts: list[str] = []
    languages: list[str] = []
    which: list[Side] = []
    for side, column in (("query", collection.queries), ("document", collection.documents)):
        if side in sides:
            ids += column.ids
            texts += column.texts
            languages += column.languages
            which += [side] * len(column)  # type: ignore[list-item]
    return SuiteTexts(ids, texts, languages, which)


def index_of(texts: SuiteTexts, rules: Rules) -> SuiteIndex:
    """Lay a suite out."""
    units = _all_units(texts.texts)
    text_of = units.text
    grams = grams_of(units, rules.gram)
    gram_text = text_of[grams.starts]
    first = units.bounds[gram_text]
    postings = Postings.of(grams.values, gram_text, grams.starts - first)
    stops = (grams.stops - first)[np.argsort(grams.values, kind="stable")].astype(np.int32)
    shingles = grams_of(units, rules.shingle)
    values, shingle_text = distinct(shingles.values, text_of[shingles.starts])
    weights = weights_of_texts(units, rules.gram)
    short = np.flatnonzero((weights < rules.gram.weight) & (weights >= rules.least_whole))
    return SuiteIndex(
        texts=texts,
        rules=rules,
        weights=weights,
        grams=postings,
        gram_stops=stops,
        shingles=Postings.of(values, shingle_text, np.zeros(len(values), dtype=np.int64)),
        shingle_counts=np.bincount(shingle_text, minlength=len(texts)),
        wholes=Postings.of(whole_texts(units)[short], short, np.zeros(len(short), dtype=np.int64)),
        unit_weights=rules.gram.weights(units.kinds),
        starts=units.bounds,
    )


def distinct(values: Words, texts: Ints) -> tuple[Words, Ints]:
    """Values once per text; both by text, then value, shape (distinct,) each."""
    order = np.lexsort((values, texts))
    values, texts = values[order], texts[order]
    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = (values[1:] != values[:-1]) | (texts[1:] != texts[:-1])
    return values[new], texts[new]


def blocks(texts: Sequence[str], characters: int = _CHARACTERS_AT_ONCE) -> Iterator[tuple[int, int]]:
    """Stretches of texts, `stop` exclusive, of about so many characters each."""
    start = size = 0
    for stop, text in enumerate(texts, start=1):
        size += len(text)
        if size >= characters:
            yield start, stop
            start, size = stop, 0
    if start < len(texts):
        yield start, len(texts)


def _all_units(texts: Sequence[str]) -> Units:
    """As `units_of`, in blocks: folding takes far more room than what comes of it."""
    parts = [units_of(texts[start:stop]) for start, stop in blocks(texts)]
    counts = np.concatenate([[0], *(np.diff(part.bounds) for part in parts)])
    return Units(
        np.concatenate([part.values for part in parts] or [np.zeros(0, dtype=np.uint64)]),
        np.concatenate([part.kinds for part in parts] or [np.zeros(0, dtype=np.uint8)]),
        np.cumsum(counts),
    )


def _bits(keys: int) -> int:
    # About one place in 32 is taken, so that a stranger passes with that probability.
    return min(max((keys * 32).bit_length(), 10), 28)
