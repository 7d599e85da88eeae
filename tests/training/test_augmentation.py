"""Language-family augmentation, against the definition written out with fractions."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from xlir_bench.errors import InputError
from xlir_bench.languages import LANGUAGES
from xlir_bench.training.augmentation import (
    Augmentation,
    borrowed_counts,
    borrowed_rows,
    language_pair_shares,
    language_shares,
)

CODES = sorted(LANGUAGES)


def kin_of(code, level):
    """The genus or family of a language; one of which it is not known has no relatives."""
    return getattr(LANGUAGES[code], level) or code


PAIR = st.tuples(st.sampled_from(CODES), st.sampled_from(CODES)).filter(lambda pair: pair[0] != pair[1])
PAIRS_WITH_MASS = st.lists(st.tuples(PAIR, st.integers(0, 10**6)), min_size=1, max_size=30).filter(
    lambda rows: any(mass for _, mass in rows)
)
COUNTS = st.dictionaries(st.sampled_from(CODES), st.integers(0, 300), max_size=12)
LEVEL = st.sampled_from(["genus", "family"])


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=37).filter(any))
@settings(deadline=None)
def test_temperature_one_keeps_proportions_and_zero_makes_all_equal(masses):
    codes = CODES[: len(masses)]
    kept = language_shares(codes, masses, Augmentation())
    np.testing.assert_allclose(kept, [float(Fraction(mass, sum(masses))) for mass in masses], rtol=1e-9)
    equal = language_shares(codes, masses, Augmentation(temperature=0))
    present = sum(mass > 0 for mass in masses)
    np.testing.assert_allclose(equal, [1 / present if mass else 0 for mass in masses], rtol=1e-9)


@given(
    st.lists(st.integers(1, 10**9), min_size=2, max_size=37, unique=True),
    st.floats(0.05, 0.95),
)
@settings(deadline=None)
def test_a_lower_temperature_raises_the_smallest_and_lowers_the_largest(masses, temperature):
    codes = CODES[: len(masses)]
    plain, raised = (language_shares(codes, masses, Augmentation(temperature=t)) for t in (1.0, temperature))
    least, most = int(np.argmin(masses)), int(np.argmax(masses))
    assert raised[least] > plain[least]
    assert raised[most] < plain[most]
    # The ratio of two shares is the ratio of their masses to that power.
    assert raised[most] / raised[least] == pytest.approx((masses[most] / masses[least]) ** temperature, rel=1e-9)


@given(PAIRS_WITH_MASS, st.none() | st.integers(0, 100), LEVEL)
@settings(deadline=None)
def test_relatives_take_exactly_their_share_and_divide_it_by_mass(rows, percent, level):
    within = None if percent is None else percent / 100
    pairs, masses = [pair for pair, _ in rows], [mass for _, mass in rows]
    shares = language_pair_shares(pairs, masses, Augmentation(level=level, within_family=within))
    related = [kin_of(x, level) == kin_of(y, level) for x, y in pairs]
    totals = {kind: sum(m for m, r in zip(masses, related, strict=True) if r == kind) for kind in (True, False)}
    for share, mass, kin in zip(shares, masses, related, strict=True):
        if percent is None or not all(totals.values()):
            expected = Fraction(mass, sum(masses))
        else:
            wanted = Fraction(percent if kin else 100 - percent, 100)
            expected = wanted * Fraction(mass, totals[kin])
        assert share == pytest.approx(float(expected), rel=1e-9, abs=1e-15)
    assert shares.sum() == pytest.approx(1.0)


def test_languages_of_no_known_family_are_related_to_themselves_alone():
    assert not Augmentation(level="family").related("eo", "en")
    assert not Augmentation().related("eo", "la")
    assert Augmentation().related("eo", "eo")


def test_english_and_hindi_are_of_one_family_and_not_of_one_genus():
    assert Augmentation(level="family").related("en", "hi")
    assert not Augmentation().related("en", "hi")
    assert Augmentation().related("hi", "bn")
    assert Augmentation(level="family").related("sw", "yo")
    assert not Augmentation().related("sw", "yo")


@given(COUNTS, st.integers(0, 400), LEVEL)
@settings(deadline=None)
def test_a_language_is_lent_what_it_lacks_as_far_as_its_relatives_have_it(counts, fill, level):
    lent = borrowed_counts(counts, Augmentation(fill=fill, level=level))
    kin = defaultdict(list)
    for code in counts:
        kin[kin_of(code, level)].append(code)
    for code, own in counts.items():
        relatives = [other for other in kin[kin_of(code, level)] if other != code]
        there = sum(counts[other] for other in relatives)
        sources = lent.get(code, {})
        assert sum(sources.values()) == min(max(fill - own, 0), there)
        for other, rows in sources.items():
            assert other in relatives
            assert 0 < rows <= counts[other]
            exact = Fraction(sum(sources.values()) * counts[other], there)
            assert abs(rows - exact) < 1


@given(st.lists(st.sampled_from(["de", "en", "nl", "hi", "bn", "sw"]), max_size=80), st.integers(0, 40), st.integers())
@settings(deadline=None)
def test_the_rows_that_are_lent_are_different_and_the_relatives_own(row_languages, fill, seed):
    asked = Augmentation(fill=fill)
    counts = {code: row_languages.count(code) for code in set(row_languages)}
    rows = borrowed_rows(row_languages, asked, abs(seed))
    again = borrowed_rows(row_languages, asked, abs(seed))
    expected = borrowed_counts(counts, asked)
    assert set(rows) == set(expected) == set(again)
    for code, numbers in rows.items():
        np.testing.assert_array_equal(numbers, again[code])
        assert len(set(numbers.tolist())) == len(numbers)
        found = [row_languages[number] for number in numbers]
        assert {other: found.count(other) for other in set(found)} == expected[code]


@pytest.mark.parametrize(
    "wrong",
    [{"within_family": 1.1}, {"temperature": -0.1}, {"temperature": 1.5}, {"fill": -1}, {"level": "area"}, {"more": 1}],
)
def test_a_declaration_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        Augmentation(**wrong)


def test_what_cannot_be_shared_is_an_error():
    with pytest.raises(InputError, match="unknown language 'xx'"):
        language_pair_shares([("xx", "en")], [1], Augmentation(within_family=0.5))
    with pytest.raises(ValueError, match="not en twice"):
        language_pair_shares([("en", "en")], [1], Augmentation())
    for masses in ([0.0, 0.0], [-1.0, 2.0], [np.nan, 1.0], [1.0]):
        with pytest.raises(ValueError, match="masses"):
            language_shares(["en", "de"], masses, Augmentation())
