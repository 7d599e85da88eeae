"""Training texts, held against a suite block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xlir_bench.training.audit.index import SuiteIndex, distinct
from xlir_bench.training.audit.rows import Place, Row
from xlir_bench.training.audit.rules import ALIKE_IN_LENGTH, NEAR, VERBATIM_GRAMS
from xlir_bench.training.audit.units import Ints, Units, grams_of, units_of, weights_of_texts, whole_texts

MOST_PLACES = 1000

_CHARACTERS_AT_ONCE = 1 << 20
_TEXTS_AT_ONCE = 1 << 16
_EMPTY = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class TrainingText:
    """A training text that a suite's text overlaps with; of equal ones (after folding) the first.

    Attributes:
        places: where it and its equals stand, the first of them; no more than `MOST_PLACES`.
        text: as it stands at the first.
    """

    places: list[Place]
    text: str


@dataclass(frozen=True)
class Pairs:
    """Pairs of a training text and a suite's text.

    Attributes:
        training: number of the training text, shape (pairs,).
        suite: number of the suite's text, shape (pairs,).
        overlap: units of the longest stretch that stands in both word for word, 0 if it is under a gram, shape
            (pairs,).
        weight: its weight under the rules' gram, shape (pairs,).
        likeness: Jaccard index of their distinct shingles where they are near duplicates, 1 where they are equal, else
            0, shape (pairs,).
    """

    training: Ints
    suite: Ints
    overlap: Ints
    weight: Ints
    likeness: NDArray[np.float64]

    @staticmethod
    def joined(parts: Iterable[Pairs]) -> Pairs:
        """Several end to end."""
        every = list(parts)
        return Pairs(
            np.concatenate([_EMPTY, *(part.training for part in every)]),
            np.concatenate([_EMPTY, *(part.suite for part in every)]),
            np.concatenate([_EMPTY, *(part.overlap for part in every)]),
            np.concatenate([_EMPTY, *(part.weight for part in every)]),
            np.concatenate([np.zeros(0), *(part.likeness for part in every)]),
        )

    def __len__(self) -> int:
        return len(self.training)


@dataclass
class Scan:
    """What was found so far.

    Attributes:
        index: the suite.
        gram_counts: in how many distinct training texts each gram of the suite was seen, shape (keys of grams,).
            Exact up to the rules' `stock`; beyond that a text that was seen before may be counted again.
        training: the training texts of `pairs`.
        copies: how often each of them was seen.
        pairs: what overlaps.
        texts, characters: how much was read.
    """

    index: SuiteIndex
    gram_counts: Ints = field(init=False)
    training: list[TrainingText] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)
    parts: list[Pairs] = field(default_factory=list)
    texts: int = 0
    characters: int = 0
    _numbers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gram_counts = np.zeros(len(self.index.grams.keys), dtype=np.int64)

    @property
    def pairs(self) -> Pairs:
        """What overlaps."""
        return Pairs.joined(self.parts)

    def read(self, rows: Iterable[Row]) -> Iterator[int]:
        """Take in training texts; gives the number of texts after each block."""
        for block in _blocks(rows):
            self._block([place for place, _ in block], [text for _, text in block])
            yield len(block)

    def _block(self, places: list[Place], texts: list[str]) -> None:
        self.texts += len(texts)
        self.characters += sum(map(len, texts))
        units = units_of(texts)
        wholes = whole_texts(units)
        found = _merged([*self._verbatim(units, wholes), *self._near(units), *self._equal(units, wholes)])
        if not len(found):
            return
        number = self._numbered(np.unique(found.training), wholes, places, texts)
        found = Pairs(number[found.training], found.suite, found.overlap, found.weight, found.likeness)
        fresh = found.training >= 0
        self.parts.append(_take(found, np.flatnonzero(fresh)))

    def _numbered(self, rows: Ints, wholes: NDArray[np.uint64], places: list[Place], texts: list[str]) -> Ints:
        """For each row of the block its number among the training texts that overlap; -1 if an equal one has it."""
        number = np.full(len(texts), -1, dtype=np.int64)
        for row in rows.tolist():
            key = int(wholes[row])
            known = self._numbers.get(key)
            if known is None:
                number[row] = self._numbers[key] = len(self.training)
                self.training.append(TrainingText([places[row]], texts[row]))
                self.copies.append(1)
            else:
                self.copies[known] += 1
                if len(self.training[known].places) < MOST_PLACES:
                    self.training[known].places.append(places[row])
        return number

    def _verbatim(self, units: Units, wholes: NDArray[np.uint64]) -> Iterator[Pairs]:
        """Longest common stretches of a gram or more; counts the grams."""
        index, rules = self.index, self.index.rules
        grams = grams_of(units, rules.gram)
        at, keys = index.grams.find(grams.values)
        if not len(at):
            return
        text_of = np.searchsorted(units.bounds, grams.starts[at], side="right") - 1
        rare = self.gram_counts[keys] <= rules.stock
        self._count(text_of, keys, wholes)
        of, place = index.grams.places(keys)
        start, text, suite = grams.starts[at][of], text_of[of], index.grams.texts[place].astype(np.int64)
        # On one diagonal, neighbouring grams are one stretch.
        diagonal = start - index.grams.positions[place]
        order = np.lexsort((start, diagonal, suite, text))
        start, diagonal, suite, text = start[order], diagonal[order], suite[order], text[order]
        rare_here = rare[of][order]
        begins = np.ones(len(order), dtype=np.bool_)
        begins[1:] = (np.diff(start) != 1) | (np.diff(diagonal) != 0) | (np.diff(suite) != 0) | (np.diff(text) != 0)
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(order)) - 1
        stop = grams.stops[at][of][order][last]
        total = np.concatenate([[0], np.cumsum(rules.gram.weights(units.kinds))])
        weight = total[stop] - total[start[first]]
        # What consists of stock phrases alone was told often enough.
        kept = np.logical_or.reduceat(rare_here, first) | (weight >= VERBATIM_GRAMS * rules.gram.weight)
        pairs = Pairs(text[first], suite[first], stop - start[first], weight, np.zeros(len(first)))
        yield _take(pairs, np.flatnonzero(kept))

    def _count(self, text_of: Ints, keys: Ints, wholes: NDArray[np.uint64]) -> None:
        """Add the distinct texts that have each gram. Of equal texts of the block the first counts."""
        rows = np.unique(text_of)
        _, first = np.unique(wholes[rows], return_index=True)
        fresh = np.array([int(wholes[row]) not in self._numbers for row in rows[first].tolist()], dtype=np.bool_)
        counted = np.isin(text_of, rows[first[fresh]])
        seen, _ = distinct(keys[counted].astype(np.uint64), text_of[counted])
        self.gram_counts += np.bincount(seen.astype(np.int64), minlength=len(self.gram_counts))

    def _near(self, units: Units) -> Iterator[Pairs]:
        """Texts of about one length that share nearly all their shingles."""
        index, rules = self.index, self.index.rules
        grams = grams_of(units, rules.shingle)
        text_of = np.searchsorted(units.bounds, grams.starts, side="right") - 1
        at, keys = index.shingles.find(grams.values)
        if not len(at):
            return
        texts = len(units.bounds) - 1
        # Of a text that is like one of the suite at least half the distinct shingles are there. As many again may be
        # repetitions: more of them are no prose, and counting them once for all texts would cost more than the rest.
        hits, size = np.bincount(text_of[at], minlength=texts), np.bincount(text_of, minlength=texts)
        weights = weights_of_texts(units, rules.gram)
        likely = (hits >= ALIKE_IN_LENGTH / 2 * size) & (weights >= rules.least_near)
        if not likely[text_of[at]].any():
            return
        counted = likely[text_of]
        values, rows = distinct(grams.values[counted], text_of[counted])
        own = np.bincount(rows, minlength=texts)
        found, keys = index.shingles.find(values)
        of, place = index.shingles.places(keys)
        pair = rows[found][of] * len(index.texts) + index.shingles.texts[place]
        pair, shared = np.unique(pair, return_counts=True)
        text, suite = pair // len(index.texts), pair % len(index.texts)
        here, there = own[text], index.shingle_counts[suite]
        lightest = np.minimum(weights[text], index.weights[suite])
        jaccard = shared / (here + there - shared)
        alike = lightest >= ALIKE_IN_LENGTH * np.maximum(weights[text], index.weights[suite])
        near = (jaccard >= NEAR) | ((shared == np.minimum(here, there)) & alike)
        near &= lightest >= rules.least_near
        zeros = np.zeros(int(near.sum()), dtype=np.int64)
        yield Pairs(text[near], suite[near], zeros, zeros, jaccard[near])

    def _equal(self, units: Units, wholes: NDArray[np.uint64]) -> Iterator[Pairs]:
        """Texts too short to have a gram, and equal."""
        at, keys = self.index.wholes.find(wholes)
        of, place = self.index.wholes.places(keys)
        text, suite = at[of], self.index.wholes.texts[place].astype(np.int64)
        weight = weights_of_texts(units, self.index.rules.gram)[text]
        yield Pairs(text, suite, np.diff(units.bounds)[text], weight, np.ones(len(text)))


def _take(pairs: Pairs, rows: Ints) -> Pairs:
    return Pairs(pairs.training[rows], pairs.suite[rows], pairs.overlap[rows], pairs.weight[rows], pairs.likeness[rows])


def _merged(parts: Iterable[Pairs]) -> Pairs:
    """Each pair once, with its heaviest stretch and its greatest likeness."""
    pairs = Pairs.joined(parts)
    order = np.lexsort((-pairs.weight, pairs.suite, pairs.training))
    pairs = _take(pairs, order)
    first = np.ones(len(pairs), dtype=np.bool_)
    first[1:] = (np.diff(pairs.training) != 0) | (np.diff(pairs.suite) != 0)
    begins = np.flatnonzero(first)
    if not len(begins):
        return pairs
    found = _take(pairs, begins)
    likeness = np.maximum.reduceat(pairs.likeness, begins)
    return Pairs(found.training, found.suite, found.overlap, found.weight, likeness)


def _blocks(rows: Iterable[Row]) -> Iterator[Row]:
    block: Row = []
    size = 0
    for row in rows:
        block += row
        size += sum(len(text) for _, text in row)
        if size >= _CHARACTERS_AT_ONCE or len(block) >= _TEXTS_AT_ONCE:
            yield block
            block, size = [], 0
    if block:
        yield block
