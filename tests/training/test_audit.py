"""The audit against an oracle of plain sets and lists, and against leaks that were planted in real data."""

from __future__ import annotations

import random
import re
import unicodedata
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlir_bench.errors import InputError
from xlir_bench.suites import find, load
from xlir_bench.training.audit import Rules
from xlir_bench.training.audit import scan as scanning
from xlir_bench.training.audit.index import SuiteTexts, index_of, suite_texts
from xlir_bench.training.audit.report import LEAKS, judge
from xlir_bench.training.audit.rows import Place
from xlir_bench.training.audit.scan import Scan

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")

# ---- the oracle: one unit after another, in exact fractions of a gram


def units(text):
    """Words of Latin letters, single Chinese characters."""
    found = []
    for word in text.lower().split():
        latin = ""
        for character in word:
            if character.isascii():
                latin += character
            else:
                found += [latin] if latin else []
                found.append(character)
                latin = ""
        found += [latin] if latin else []
    return found


def share(unit, words):
    """What part of a gram of so many words a unit is: 13 Chinese characters are as much as 8 words."""
    return Fraction(1, words) if unit.isascii() else Fraction(1, {8: 13, 3: 5}[words])


def stretches(text, words):
    """(first, last + 1) of the shortest stretch from each unit that makes a gram."""
    found = []
    for first in range(len(text)):
        total = Fraction(0)
        for last in range(first, len(text)):
            total += share(text[last], words)
            if total >= 1:
                found.append((first, last + 1))
                break
    return found


def grams(text, words):
    return {tuple(text[first:last]) for first, last in stretches(text, words)}


def weight(text):
    return sum((share(unit, 8) for unit in text), Fraction(0))


def longest_common(one, other):
    """The heaviest common stretch that is made of whole grams, as (weight, units), by the textbook's table."""
    best = (Fraction(0), 0)
    stops = dict(stretches(one, 8))
    ends = {}
    for i in range(len(one)):
        row = {}
        for j in range(len(other)):
            if one[i] == other[j]:
                row[j] = ends.get(j - 1, 0) + 1
                first = i + 1 - row[j]
                # Only where scripts are mixed does a common stretch reach further than its last whole gram.
                last = max((stops[n] for n in range(first, i + 1) if stops.get(n, i + 2) <= i + 1), default=first)
                best = max(best, (weight(one[first:last]), last - first))
        ends = row
    return best


def expected(suite, training, stock):
    """Per text of the suite: (leak, touched), as the rules say."""
    distinct = {tuple(units(text)): None for text in training}
    found = []
    for text in map(units, suite):
        heaviest, near, equal, touched = Fraction(0), False, False, False
        for other in map(list, distinct):
            heaviest = max(heaviest, longest_common(text, other)[0])
            touched |= bool(grams(text, 8) & grams(other, 8))
            a, b = grams(text, 3), grams(other, 3)
            lighter, heavier = sorted((weight(text), weight(other)))
            if a and b and lighter >= Fraction(3, 4):
                near |= Fraction(len(a & b), len(a | b)) >= Fraction(4, 5)
                near |= len(a & b) == min(len(a), len(b)) and 2 * lighter >= heavier
            equal |= text == other and Fraction(1, 2) <= weight(text) < 1
        covered = set()
        for first, last in stretches(text, 8):
            gram = tuple(text[first:last])
            if 0 < sum(gram in grams(list(other), 8) for other in distinct) <= stock:
                covered |= set(range(first, last))
        verbatim = heaviest >= 2
        mostly = bool(covered) and weight([text[i] for i in covered]) >= Fraction(4, 5) * weight(text)
        leak = next((name for name, holds in zip(LEAKS, (verbatim, mostly, near, equal), strict=True) if holds), None)
        found.append((leak, touched or leak is not None))
    return found


def scanned(suite, training, stock=10, **rules):
    texts = SuiteTexts([str(i) for i in range(len(suite))], suite, ["en"] * len(suite), ["document"] * len(suite))
    scan = Scan(index_of(texts, Rules(stock=stock, **rules)))
    for _ in scan.read([[(Place(0, row, "", ""), text)] for row, text in enumerate(training, start=1)]):
        pass
    return scan


def judged(scan):
    found = judge(scan)
    return [
        (LEAKS[leak] if leak >= 0 else None, touched)
        for leak, touched in zip(found.leak.tolist(), found.touched.tolist(), strict=True)
    ]


@st.composite
def overlapping(draw):
    """Texts made of a few phrases, so that they share long stretches; words and Chinese characters mixed."""
    unit = st.sampled_from(["wa", "wb", "wc", "wd", "we", "天", "地", "人", "山"])
    phrases = draw(st.lists(st.lists(unit, min_size=1, max_size=14), min_size=1, max_size=4))
    text = st.lists(st.sampled_from(phrases), min_size=1, max_size=4).map(
        lambda parts: " ".join(" ".join(part) for part in parts)
    )
    return draw(st.lists(text, min_size=1, max_size=4)), draw(st.lists(text, min_size=1, max_size=5))


@settings(max_examples=250, deadline=None)
@given(overlapping(), st.integers(1, 3))
def test_every_verdict_is_that_of_plain_sets_of_tuples(texts, stock):
    suite, training = texts
    assert judged(scanned(suite, training, stock)) == expected(suite, training, stock)


@settings(max_examples=150, deadline=None)
@given(overlapping())
def test_the_longest_overlap_of_a_pair_is_the_longest_common_stretch(texts):
    suite, training = texts
    scan = scanned(suite, training, stock=100)
    found = {}
    for number, text, overlap in zip(scan.pairs.training, scan.pairs.suite, scan.pairs.overlap, strict=True):
        pair = scan.training[number].text, int(text)
        found[pair] = max(found.get(pair, 0), int(overlap))
    for row, text in enumerate(suite):
        for other in training:
            heaviest, length = longest_common(units(text), units(other))
            if heaviest >= 1 and (other, row) in found:
                assert found[other, row] == length


@settings(max_examples=60, deadline=None)
@given(overlapping(), st.integers(1, 40))
def test_where_a_block_ends_changes_nothing(texts, characters):
    suite, training = texts
    whole = judged(scanned(suite, training, stock=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "_CHARACTERS_AT_ONCE", characters)
        assert judged(scanned(suite, training, stock=2)) == whole


# ---- folding


@pytest.mark.parametrize(
    ("suite", "training"),
    [
        ("Who wrote the Book of Changes in China?", "WHO WROTE THE BOOK OF CHANGES IN CHINA"),
        ("the so-called “great wall” – it’s long, isn’t it", "The so called 'great wall' it's long; isn't it?!"),
        ("das große Maß der Straße ist nicht bekannt", "DAS GROSSE MASS DER STRASSE IST NICHT BEKANNT"),
        ("ｆｕｌｌ ｗｉｄｔｈ ｌｅｔｔｅｒｓ are the same as these", "full width letters are the same as these"),
        ("the year ١٩٨٤ was not like the book at all", "the year 1984 was not like the book at all"),
        ("İstanbul'da ılık bir gün daha var mı acaba", "istanbul'da ilik bir gün daha var mi acaba"),
        ("مَكْتَبَةٌ كَبِيرَةٌ فِي وَسَطِ المَدِينَةِ القَدِيمَةِ", "مكتبة كبيرة في وسط المدينة القديمة"),
        ("كـــبير جدا هذا البيت القديم في المدينة", "كبير جدا هذا البيت القديم في المدينة"),
        (
            "zero\u200bwidth and soft\u00adhyphens are not seen by readers",
            "zerowidth and softhyphens are not seen by readers",
        ),
        ("ποιος είναι ο μεγαλύτερος ποταμός της χώρας", "ΠΟΙΟΣ ΕΊΝΑΙ Ο ΜΕΓΑΛΎΤΕΡΟΣ ΠΟΤΑΜΌΣ ΤΗΣ ΧΏΡΑΣ"),
        ("这座图书馆的历史有多少年了", "這座圖書館的歷史有多少年了"),
        ("头发与发展、干净与干部、面条与面子", "頭髮與發展、乾淨與幹部、麵條與面子"),
    ],
)
def test_what_only_looks_different_is_the_same(suite, training):
    assert judged(scanned([suite], [training]))[0][0] is not None


@pytest.mark.parametrize(
    "text", ["résumé de la réunion de la semaine passée à Paris", "किताब की दुकान शहर के बीच में है कहाँ"]
)
def test_accents_and_vowel_signs_count(text):
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    assert judged(scanned([text], [bare]))[0] == (None, False)


# ---- planted leaks in real data


@pytest.fixture(scope="module", params=LANGUAGES)
def planted(request):
    """One language of xlir-mini, laid out, with 60 of its texts that are as long as 12 words or longer."""
    collection = load(find("xlir-mini"), languages=[request.param])
    index = index_of(suite_texts(collection), Rules())
    enough = np.flatnonzero(index.weights >= index.rules.gram.weight * 1.5)
    chosen = np.random.default_rng(7).choice(enough, 60, replace=False).tolist()
    return request.param, index, chosen


def leaked(index, training):
    scan = Scan(index)
    for _ in scan.read([[(Place(0, 1, "", ""), text)] for text in training]):
        pass
    return {row for row, leak in enumerate(judge(scan).leak.tolist()) if leak >= 0}


def without_spaces(language):
    return language in {"th", "zh"}


def cut(text, part, language):
    """The beginning of a text: of its words, or of its characters and Latin words where it has no spaces."""
    unit = r"[a-zA-Z0-9]+|[^\W_]" if without_spaces(language) else r"\S+"
    ends = [match.end() for match in re.finditer(unit, text)]
    return text[: ends[-(-len(ends) * part // 100) - 1]]


def test_exact_copies_are_found_in_every_language(planted):
    _, index, chosen = planted
    assert set(chosen) <= leaked(index, [index.texts.texts[row] for row in chosen])


def test_copies_in_capitals_with_other_punctuation_are_found_in_every_language(planted):
    _, index, chosen = planted

    def changed(text):
        marks = {c: " " if c in ",;:!?.。，、？！؟،" else c for c in set(text)}
        return f"«{''.join(marks[c] for c in text).upper()}» ..."

    assert set(chosen) <= leaked(index, [changed(index.texts.texts[row]) for row in chosen])


def test_copies_inside_a_longer_text_are_found_in_every_language(planted):
    _, index, chosen = planted
    texts = index.texts.texts
    assert set(chosen) <= leaked(index, [f"12345 67890. {texts[row]} 98765 43210." for row in chosen])


def test_copies_cut_off_at_three_fifths_are_found_in_every_language(planted):
    language, index, chosen = planted
    if without_spaces(language):
        # Of letters and Latin words together, three fifths of the pieces may be far less of the text.
        chosen = [row for row in chosen if not re.search(r"[a-zA-Z]", index.texts.texts[row])]
    assert set(chosen) <= leaked(index, [cut(index.texts.texts[row], 60, language) for row in chosen])


def test_shuffled_words_are_no_leak_in_any_language(planted):
    language, index, _ = planted
    generator = random.Random(3)
    shuffled = []
    for text in index.texts.texts:
        parts = list(text) if without_spaces(language) else text.split()
        if len(set(parts)) >= 8:
            generator.shuffle(parts)
            shuffled.append(("" if without_spaces(language) else " ").join(parts))
    assert not leaked(index, shuffled)


def test_copies_in_traditional_characters_are_found():
    from opencc import OpenCC

    index = index_of(suite_texts(load(find("xlir-mini"), languages=["zh"])), Rules())
    # As written in Taiwan: the converter goes by words, so that the way back by characters is not its mirror.
    traditional = OpenCC("s2tw").convert
    long = [row for row, w in enumerate(index.weights.tolist()) if w >= index.rules.gram.weight]
    training = [traditional(index.texts.texts[row]) for row in long]
    assert sum(a != index.texts.texts[row] for a, row in zip(training, long, strict=True)) > 0.95 * len(long)
    assert set(long) <= leaked(index, training)


# ---- the rules


def test_a_stretch_of_many_training_texts_is_a_stock_phrase_and_of_few_a_leak():
    phrase = "one two three four five six seven eight nine"
    few, many = (
        [f"{phrase} {' '.join(f'{letter}{n}' for letter in 'abcdefghijklm')}" for n in range(size)] for size in (3, 4)
    )
    assert judged(scanned([phrase], few, stock=3)) == [("covered", True)]
    assert judged(scanned([phrase], many, stock=3)) == [(None, True)]


def test_equal_training_texts_count_once():
    phrase = "one two three four five six seven eight nine"
    scan = scanned([phrase], [f"ax {phrase} bx"] * 5 + [f"AX {phrase}; bx!"], stock=1)
    assert judged(scan) == [("covered", True)]
    assert scan.copies == [6]
    assert [place.row for place in scan.training[0].places] == [1, 2, 3, 4, 5, 6]


def test_a_long_copy_is_a_leak_however_often_it_occurs():
    passage = " ".join(f"w{n}" for n in range(16))
    assert judged(scanned([passage], [f"{passage} z{n}" for n in range(20)], stock=3)) == [("verbatim", True)]


def test_a_text_under_half_a_gram_says_nothing():
    assert judged(scanned(["to be or", "to be or not"], ["to be or", "to be or not"])) == [
        (None, False),
        ("equal", True),
    ]


def test_thirteen_chinese_characters_are_a_gram_and_twelve_are_none():
    text = "甲乙丙丁戊己庚辛壬癸子丑寅卯"
    twelve, thirteen = (f"{text[:n]}abc{n}" for n in (12, 13))
    assert judged(scanned([f"{text}{'一二三四五六七八九十' * 3}"], [twelve])) == [(None, False)]
    assert judged(scanned([f"{text}{'一二三四五六七八九十' * 3}"], [thirteen])) == [(None, True)]


@pytest.mark.parametrize("wrong", [{"words": 3}, {"words": 51}, {"stock": 0}])
def test_rules_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="choose"):
        Rules(**wrong)


def test_lengths_grow_with_the_number_of_words():
    for less, more in pairwise(range(4, 51)):
        assert all(Rules(less).gram.units[kind] <= units for kind, units in Rules(more).gram.units.items())
