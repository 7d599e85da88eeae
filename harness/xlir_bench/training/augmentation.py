"""Language-family augmentation: which languages meet in a batch, declared in a recipe in three numbers.

Languages that are related help one another, and languages with few texts are drowned by those with many. Three things
can be asked for, each by itself:

* `temperature` raises languages with few pairs: a language, or a pair of languages, is drawn in proportion to
  `mass ** temperature`, as XLM-R's training texts were drawn (Conneau et al. 2020, arXiv 1911.02116);
* `within_family` says how often the two languages of an X-Y pair are related;
* `fill` lends a language with few X-X pairs rows of its relatives.

Nothing here is iterated until marginals fit: every share is a product of two numbers, and can be checked by hand.

Relatives are languages of one genus, or of one family, as WALS names them (`xlir_bench.languages`). The genus is the
default, for it is the group whose relation a learner of words can use: by family, English is related to Hindi and
Persian, and half of all pairs of a usual training set count as related. By genus Swahili and Yoruba have no relative in
most data sets; `level: family` makes them relatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from xlir_bench.languages import language
from xlir_bench.training.batches import Floats, Ints

Level = Literal["genus", "family"]


class Augmentation(BaseModel):
    """How languages are drawn. The defaults change nothing.

    Attributes:
        level: what makes two languages relatives: one genus or one family, see the module.
        within_family: probability that the languages of an X-Y pair are relatives; None leaves it to the masses.
        temperature: a language or pair of languages is drawn in proportion to its mass to this power; 1 keeps the
            proportions of the texts, 0 makes all equal.
        fill: a language with fewer X-X pairs than this is lent rows of its relatives up to this number; 0 lends none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Level = "genus"
    within_family: float | None = Field(default=None, ge=0, le=1)
    temperature: float = Field(default=1.0, ge=0, le=1)
    fill: int = Field(default=0, ge=0)

    def kin(self, code: str) -> str:
        """The name of a language's genus or family; its own code where that is not known, for it is related to none.

        Raises:
            InputError: no language has this code.
        """
        row = language(code)
        return (row.genus if self.level == "genus" else row.family) or row.code

    def related(self, one: str, other: str) -> bool:
        """Whether two languages are relatives; a language is its own."""
        return self.kin(one) == self.kin(other)


def language_shares(languages: Sequence[str], masses: ArrayLike, augmentation: Augmentation) -> Floats:
    """The probability of each language to be drawn for an X-X batch: `mass ** temperature`, normalised.

    Args:
        languages: codes.
        masses: how much there is of each, not negative, shape (languages,); a language without any is never drawn.
        augmentation: the temperature.

    Returns:
        Shape (languages,), summing to 1.

    Raises:
        ValueError: the masses have another shape, one is negative or not finite, or all are 0.
    """
    return _normalised(_tempered(masses, len(languages), augmentation))


def language_pair_shares(pairs: Sequence[tuple[str, str]], masses: ArrayLike, augmentation: Augmentation) -> Floats:
    """The probability of each pair of languages to be drawn for a row of an X-Y batch.

    With P the pairs of relatives and m the mass of a pair to the power of the temperature, the share of a pair in P is
    `within_family * m / sum of m over P`, and that of any other pair `(1 - within_family) * m / sum of m over the
    rest`. So relatives take exactly `within_family` of the rows. Where there are pairs of one kind alone, these take
    all.

    Args:
        pairs: two different codes each, in either order or in both.
        masses: how much there is of each, not negative, shape (pairs,); a pair without any is never drawn.
        augmentation: see the class.

    Returns:
        Shape (pairs,), summing to 1.

    Raises:
        InputError: no language has such a code.
        ValueError: a pair is of one language; or see `language_shares`.
    """
    for one, other in pairs:
        if one == other:
            raise ValueError(f"a pair of languages has two, not {one} twice")
    tempered = _tempered(masses, len(pairs), augmentation)
    if augmentation.within_family is None:
        return _normalised(tempered)
    related = np.array([augmentation.related(one, other) for one, other in pairs], dtype=bool)
    wanted = np.where(related, augmentation.within_family, 1 - augmentation.within_family)
    totals = np.where(related, tempered[related].sum(), tempered[~related].sum())
    if not (totals[related] > 0).any() or not (totals[~related] > 0).any():
        return _normalised(tempered)
    return _normalised(tempered / totals * wanted)


def borrowed_counts(counts: Mapping[str, int], augmentation: Augmentation) -> dict[str, dict[str, int]]:
    """How many rows each language with few is lent, and by which relatives.

    A language with fewer than `fill` rows is lent what it lacks, from its relatives in proportion to what they have
    (the largest remainders are rounded up), and from none more than it has. One without relatives stays as it is.

    Args:
        counts: language -> its own X-X rows.
        augmentation: `fill` and `level`.

    Returns:
        Language -> relative -> rows, only what is more than 0.

    Raises:
        InputError: no language has such a code.
    """
    lent: dict[str, dict[str, int]] = {}
    for code in sorted(counts):
        lacking = augmentation.fill - counts[code]
        relatives = [other for other in sorted(counts) if other != code and augmentation.related(code, other)]
        sizes = np.array([counts[other] for other in relatives], dtype=np.int64)
        if lacking <= 0 or not sizes.sum():
            continue
        shares = _apportioned(min(lacking, int(sizes.sum())), sizes)
        lent[code] = {other: int(rows) for other, rows in zip(relatives, shares, strict=True) if rows}
    return lent


def borrowed_rows(row_languages: Sequence[str], augmentation: Augmentation, seed: int) -> dict[str, Ints]:
    """Which rows each language with few is lent, drawn without repetition; see `borrowed_counts`.

    A row that is lent stays in its own language too. A batch in a language that borrows is no longer in one language.

    Args:
        row_languages: the language of each X-X row, shape (rows,).
        augmentation: `fill` and `level`.
        seed: the same seed lends the same rows.

    Returns:
        Language -> numbers of the rows that it borrows, ascending.

    Raises:
        InputError: no language has such a code.
    """
    codes = np.array(row_languages, dtype=str)
    names, sizes = np.unique(codes, return_counts=True)
    rows_of = {str(name): np.flatnonzero(codes == name) for name in names}
    counts = {str(name): int(size) for name, size in zip(names, sizes, strict=True)}
    rng = np.random.default_rng(seed)
    return {
        code: np.sort(
            np.concatenate([rng.choice(rows_of[other], size, replace=False) for other, size in sources.items()])
        ).astype(np.int64)
        for code, sources in borrowed_counts(counts, augmentation).items()
    }


def _tempered(masses: ArrayLike, size: int, augmentation: Augmentation) -> Floats:
    given: NDArray[np.float64] = np.asarray(masses, dtype=np.float64)
    if given.shape != (size,):
        raise ValueError(f"{size} masses are needed, not an array of shape {given.shape}")
    if not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise ValueError("masses are finite, not negative, and not all 0")
    # Relative to the largest, so that no power of them overflows; 0 ** 0 would draw what is not there.
    relative = given / given.max()
    return np.where(given > 0, relative**augmentation.temperature, 0.0)


def _normalised(weights: Floats) -> Floats:
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _apportioned(total: int, sizes: Ints) -> Ints:
    """`total` in whole numbers in proportion to `sizes`, by largest remainders; the first where two are equal."""
    whole = int(sizes.sum())
    shares = total * sizes // whole
    remainders = total * sizes % whole
    order = np.argsort(-remainders, kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    return shares
