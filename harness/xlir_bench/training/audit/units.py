"""Texts as units to be compared: words, or single characters where a script has no spaces, after folding.

What two texts may differ in without being different: compatibility forms (NFKC), case, punctuation and symbols, digits
of any script, traditional against simplified Chinese characters, apostrophes, the vowel signs and the stretching of
Arabic, dotted against dotless i, invisible characters. Accents and the vowel signs of other scripts count.

A unit is a word, or one character of a script that puts no spaces between words. Units carry weights, so that one
length serves all scripts: see `Grams`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import lcm

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Ints = NDArray[np.int64]

SPACED, HAN, KANA, SOUTH_EAST_ASIAN = 1, 2, 3, 4
"""Classes of units: a word; a character of Chinese; of Japanese kana; of Thai, Lao, Burmese or Khmer."""

_BREAK, _DROPPED = 0, 5
_SEPARATOR = "\x1e"

_SCRIPTS = (
    (HAN, ((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3400, 0x4DBF), (0x4E00, 0x9FFF))),
    (HAN, ((0xF900, 0xFAFF), (0x20000, 0x3FFFF))),
    (KANA, ((0x3041, 0x30FF), (0x3100, 0x312F), (0x31F0, 0x31FF))),
    (SOUTH_EAST_ASIAN, ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F))),
)
_APOSTROPHES = "'\u2019\u02bc\u02b9\u05f3`"
_ARABIC_VOWELS = (*range(0x0610, 0x061B), *range(0x064B, 0x0660), 0x0670, 0x0640)
_VARIATION = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
# Simplified writing has both characters, and writes the second in words where traditional writing has the first.
_ONE_FOR_ANOTHER = {"著": "着", "瞭": "了", "覆": "复", "像": "象", "暱": "昵", "揹": "背", "藉": "借", "俱": "具"}
_CODE_POINTS = 0x110000
_ASSIGNED = 0x40000

_BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(_BASE, -1, 2**64)
_MIX = np.uint64(0xFF51AFD7ED558CCD)

_PER_WORD = {SPACED: 1.0, HAN: 13 / 8, KANA: 25 / 8, SOUTH_EAST_ASIAN: 45 / 8}
"""Units that say about as much as one English word.

From 1,012 sentences of FLORES-200 that say the same: an English one has 21.9 words, so 8 of them are as much as 13 of
the 34.9 Chinese characters, 45 of the 118.8 Thai ones, and 25 kana where a Chinese character in Japanese (17.6 beside
33.3 kana) counts as in Chinese.
"""


@dataclass(frozen=True)
class Units:
    """Some texts as units, end to end.

    Attributes:
        values: a hash of each unit, shape (units,).
        kinds: the class of each unit, shape (units,).
        bounds: text t has the units from bounds[t] to bounds[t + 1], shape (texts + 1,).
    """

    values: Words
    kinds: NDArray[np.uint8]
    bounds: Ints

    @property
    def text(self) -> Ints:
        """The text of each unit, shape (units,)."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))


@dataclass(frozen=True)
class Length:
    """How long a gram is: so many words, or as many characters as say as much, or a mixture of both.

    Attributes:
        words: in words of a script with spaces.
    """

    words: int

    @property
    def units(self) -> dict[int, int]:
        """Class -> how many units of it alone make a gram."""
        return {kind: round(self.words * per_word) for kind, per_word in _PER_WORD.items()}

    @property
    def weight(self) -> int:
        """What the weights of a gram's units must reach."""
        return lcm(*self.units.values())

    def weights(self, kinds: NDArray[np.uint8]) -> Ints:
        """The weight of each unit, shape (units,); so many units of one class weigh `weight` together."""
        table = np.zeros(len(_PER_WORD) + 1, dtype=np.int64)
        for kind, units in self.units.items():
            table[kind] = self.weight // units
        return table[kinds]


@dataclass(frozen=True)
class Grams:
    """Every gram of some texts: at each unit the shortest stretch of the text that is long enough.

    Where a gram ends depends on nothing but the units from its beginning on, so that a passage has the same grams
    wherever it stands.

    Attributes:
        values: a hash of each gram, shape (grams,).
        starts, stops: its units, `stops` exclusive, shape (grams,).
    """

    values: Words
    starts: Ints
    stops: Ints


def units_of(texts: Sequence[str]) -> Units:
    """Fold texts and cut them into units."""
    table, classes = _tables()
    folded = _SEPARATOR.join([_folded(text) for text in texts])
    codes = np.frombuffer(folded.encode("utf-32-le", "replace"), dtype=np.uint32)
    kinds = classes[codes]
    ends = np.flatnonzero(codes == ord(_SEPARATOR))
    if (kinds == _DROPPED).any():
        kept = kinds != _DROPPED
        ends = (np.cumsum(kept) - 1)[ends]
        codes, kinds = codes[kept], kinds[kept]
    single = kinds >= HAN
    before = np.concatenate([[_BREAK], kinds[:-1]])
    starts = np.flatnonzero(single | ((kinds == SPACED) & (before != SPACED)))
    after = np.concatenate([kinds[1:], [_BREAK]])
    last = np.flatnonzero(single | ((kinds == SPACED) & (after != SPACED)))
    values = _hashes(table[codes].astype(np.uint64), starts, last + 1)
    inner = np.searchsorted(starts, ends)
    bounds = np.concatenate([[0], inner, [len(starts)]]) if len(texts) else np.zeros(1, dtype=np.int64)
    return Units(values, kinds[starts], bounds.astype(np.int64))


def grams_of(units: Units, length: Length) -> Grams:
    """Every gram of the texts, in order; a text that is too short has none."""
    size = len(units.values)
    weight = np.concatenate([[0], np.cumsum(length.weights(units.kinds))])
    stop_of_text = np.repeat(units.bounds[1:], np.diff(units.bounds))
    starts = np.flatnonzero(weight[stop_of_text] - weight[:size] >= length.weight)
    stops = np.zeros(len(starts), dtype=np.int64)
    missing = np.ones(len(starts), dtype=np.bool_)
    # Nearly every gram is of one class of units and ends a known number of units later; only the others are searched.
    for count in sorted(set(length.units.values())):
        end = np.minimum(starts + count, size)
        fits = missing & (weight[end] - weight[starts] == length.weight)
        stops[fits] = end[fits]
        missing &= ~fits
    stops[missing] = np.searchsorted(weight, weight[starts[missing]] + length.weight)
    return Grams(_hashes(units.values, starts, stops), starts, stops)


def whole_texts(units: Units) -> Words:
    """A hash of each text as a whole, shape (texts,)."""
    return _hashes(units.values, units.bounds[:-1], units.bounds[1:])


def weights_of_texts(units: Units, length: Length) -> Ints:
    """The weight of each text, shape (texts,); `length.weight` is that of one gram."""
    weight = np.concatenate([[0], np.cumsum(length.weights(units.kinds))])
    return np.asarray(weight[units.bounds[1:]] - weight[units.bounds[:-1]])


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower().replace(_SEPARATOR, " ")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.replace(_SEPARATOR, " ") if _SEPARATOR in folded else folded


def _hashes(values: Words, starts: Ints, stops: Ints) -> Words:
    """A hash of each stretch of values: their polynomial in an odd base modulo 2**64, shifted to its beginning.

    Sums of powers are kept once for all stretches, so that long and overlapping ones cost no more than short ones. Two
    different stretches share a hash with a probability of about 2**-64.
    """
    up, down = _powers(1 << max(len(values), 1).bit_length())
    sums = np.zeros(len(values) + 1, dtype=np.uint64)
    np.cumsum(values * up[: len(values)], out=sums[1:])
    found = (sums[stops] - sums[starts]) * down[starts]
    # The lowest bits of a product depend on the lowest bits of its factors alone: spread them.
    found ^= found >> np.uint64(32)
    found *= _MIX
    return np.asarray(found ^ (found >> np.uint64(29)))


@cache
def _powers(size: int) -> tuple[Words, Words]:
    """The powers of the base and of its inverse modulo 2**64, from the zeroth, shape (size,) each."""
    both = []
    for base in (_BASE, _BASE_INVERSE):
        powers = np.full(size, base, dtype=np.uint64)
        powers[0] = 1
        both.append(np.cumprod(powers, dtype=np.uint64))
    return both[0], both[1]


@cache
def _tables() -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """For each code point, what it is folded to and its class, shape (1114112,) each."""
    folded = np.arange(_CODE_POINTS, dtype=np.uint32)
    classes = np.zeros(_CODE_POINTS, dtype=np.uint8)
    for code in range(_ASSIGNED):
        category = unicodedata.category(chr(code))
        if category[0] in "LMN":
            classes[code] = SPACED
            if category == "Nd":
                folded[code] = ord("0") + unicodedata.decimal(chr(code))
        elif category == "Cf":
            classes[code] = _DROPPED
    for kind, ranges in _SCRIPTS:
        for first, last in ranges:
            stretch = classes[first : last + 1]
            stretch[stretch == SPACED] = kind
    digits = (folded >= ord("0")) & (folded <= ord("9"))
    classes[digits] = SPACED
    for code in (*map(ord, _APOSTROPHES), *_ARABIC_VOWELS, *_VARIATION, 0x0307):
        classes[code] = _DROPPED
    folded[ord("ı")] = ord("i")
    _simplify(folded, classes)
    return folded, classes


def _simplify(folded: NDArray[np.uint32], classes: NDArray[np.uint8]) -> None:
    """Fold each Chinese character to its simplified form, character by character."""
    from opencc import OpenCC

    characters = [chr(code) for code in np.flatnonzero(classes == HAN).tolist()]
    # A line each: longer entries of the dictionary would join neighbours.
    simplified = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    for character, simple in zip(characters, simplified, strict=True):
        if len(simple) == 1:
            folded[ord(character)] = ord(simple)
    for character, simple in _ONE_FOR_ANOTHER.items():
        folded[ord(character)] = ord(simple)
