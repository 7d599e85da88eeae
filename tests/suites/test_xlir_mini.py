"""The bundled suite: fourteen languages that say the same, as far as a script can see."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter

import pytest

from xlir_bench.languages import language
from xlir_bench.resources import folder
from xlir_bench.suites import check, find, load

CODES = find("xlir-mini").languages
SCRIPT_NAMES = {
    "Arab": "ARABIC", "Deva": "DEVANAGARI", "Grek": "GREEK", "Cyrl": "CYRILLIC", "Thai": "THAI", "Hans": "CJK",
    "Kore": "HANGUL", "Latn": "LATIN",
}  # fmt: skip

# A language may say a number in words or by its grammar: what it does not write as a digit, or writes where English
# has a word (months in Chinese and Korean, the ordinal of a king).
MAY_DIFFER = 12


@pytest.fixture(scope="module")
def files() -> dict[str, list[dict]]:
    """The one paragraph of every article, per language."""
    found = {}
    for code in CODES:
        content = json.loads((folder("suites") / "xlir-mini" / f"{code}.json").read_text(encoding="utf-8"))
        found[code] = [article["paragraphs"][0] for article in content["data"]]
    return found


def sentences(paragraph: dict) -> list[str]:
    return [paragraph["context"][start:end] for start, end in paragraph["sentence_breaks"]]


def answering(paragraph: dict, question: dict) -> int:
    start = question["answers"][0]["answer_start"]
    return next(n for n, (low, high) in enumerate(paragraph["sentence_breaks"]) if low <= start < high)


def texts(paragraphs: list[dict]) -> list[str]:
    return [t for p in paragraphs for t in [*sentences(p), *(q["question"] for q in p["qas"])]]


def test_fourteen_languages_have_72_questions_and_144_sentences():
    suite = find("xlir-mini")
    rows = check(suite, load(suite))
    assert len(rows) == 14
    assert {(row.queries, row.documents, row.judged) for row in rows} == {(72, 144, 72)}
    assert {"ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"} < set(CODES)
    assert len({language(code).family for code in ("fi", "ko", "sw")} | {"Indo-European"}) == 4


def test_every_question_is_answered_by_the_same_sentence_in_every_language(files):
    for number, english in enumerate(files["en"]):
        expected = [(q["id"], answering(english, q)) for q in english["qas"]]
        for code in CODES:
            paragraph = files[code][number]
            assert [(q["id"], answering(paragraph, q)) for q in paragraph["qas"]] == expected, code
            assert len(paragraph["sentence_breaks"]) == len(english["sentence_breaks"]) == 6


def test_answers_stand_where_their_offset_says(files):
    for code in CODES:
        for paragraph in files[code]:
            for question in paragraph["qas"]:
                answer = question["answers"][0]
                start = answer["answer_start"]
                assert paragraph["context"][start : start + len(answer["text"])] == answer["text"]
            assert paragraph["sentences"] == sentences(paragraph)


@pytest.mark.parametrize("code", CODES)
def test_no_text_occurs_twice_or_was_left_in_english(files, code):
    own = texts(files[code])
    assert len(set(own)) == len(own) == 144 + 72
    if code != "en":
        assert not set(own) & set(texts(files["en"]))


@pytest.mark.parametrize("code", CODES)
def test_letters_are_of_the_languages_script(files, code):
    expected = SCRIPT_NAMES[language(code).script]
    for text in texts(files[code]):
        letters = [c for c in text if unicodedata.category(c) in {"Lu", "Ll", "Lo"}]
        own = sum(unicodedata.name(c, "").startswith(expected) for c in letters)
        # Scientific names and abbreviations stay Latin.
        assert own / len(letters) > 0.55, text


@pytest.mark.parametrize("code", [code for code in CODES if code != "en"])
def test_numbers_are_the_same_as_in_english(files, code):
    differing = 0
    for own, english in zip(texts(files[code]), texts(files["en"]), strict=True):
        numbers = [Counter(re.findall(r"[0-9]+", text)) for text in (own, english)]
        differing += numbers[0] != numbers[1]
    assert differing <= MAY_DIFFER


@pytest.mark.parametrize("code", [code for code in CODES if code != "en"])
def test_no_text_is_much_shorter_or_longer_than_its_english(files, code):
    ratios = [len(a) / len(b) for a, b in zip(texts(files[code]), texts(files["en"]), strict=True)]
    middle = sorted(ratios)[len(ratios) // 2]
    assert all(0.45 < ratio / middle < 2.2 for ratio in ratios)


def test_a_question_never_contains_its_answers_sentence(files):
    for code in CODES:
        for paragraph in files[code]:
            for question in paragraph["qas"]:
                assert sentences(paragraph)[answering(paragraph, question)] not in question["question"]
