"""When two texts overlap, and when an overlap is a leak: every number that the audit depends on."""

from __future__ import annotations

from dataclasses import dataclass

from xlir_bench.errors import InputError
from xlir_bench.training.audit.units import Length

SHINGLE_WORDS = 3
NEAR = 0.8
"""Jaccard index from which two texts are near duplicates; .8 is the usual bound of deduplication (arXiv 2107.06499)."""

ALIKE_IN_LENGTH = 0.5
COVERED = 0.8
VERBATIM_GRAMS = 2


@dataclass(frozen=True)
class Rules:
    """What counts as overlap and as a leak.

    A suite's text is *touched* if a gram of it (`words` words, or as many characters as say as much) occurs in the
    training data, if it is a near duplicate of a training text, or if it is equal to one. It has *leaked* if

    * `verbatim`: `VERBATIM_GRAMS` times the length of a gram stands in a training text word for word;
    * `covered`: grams that occur in at most `stock` distinct training texts cover four fifths of it (`COVERED`);
    * `near`: it and a training text have `NEAR` of the distinct shingles (`SHINGLE_WORDS` words) of both in common, or
      the shorter of the two, at least half as long as the other (`ALIKE_IN_LENGTH`), has all of its own in the other,
      as a text that was cut off does; either has at least three quarters of a gram;
    * `equal`: it is shorter than a gram, at least half of one, and equal to a training text.

    Everything else that is touched holds *stock phrases*: stretches that are common in the training data, or short
    beside the text. A text under half a gram is too short to tell.

    Attributes:
        words: the length of a gram.
        stock: in how many distinct training texts a gram may be before it is a stock phrase.
    """

    words: int = 8
    stock: int = 10

    def __post_init__(self) -> None:
        if not 4 <= self.words <= 50:
            raise InputError(f"a gram of {self.words} words: choose from 4 to 50; 8 is the default")
        if self.stock < 1:
            raise InputError(f"a stock phrase from {self.stock} texts on: choose 1 or more; 10 is the default")

    @property
    def gram(self) -> Length:
        """The length of a gram."""
        return Length(self.words)

    @property
    def shingle(self) -> Length:
        """The length of a shingle."""
        return Length(SHINGLE_WORDS)

    @property
    def least_whole(self) -> int:
        """The weight, under `gram`, from which two equal texts say something."""
        return -(-self.gram.weight // 2)

    @property
    def least_near(self) -> int:
        """The weight, under `gram`, from which the shorter of two near duplicates says something."""
        return -(-self.gram.weight * 3 // 4)
