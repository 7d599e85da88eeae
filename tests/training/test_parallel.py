"""Reading aligned texts and questions from files typed by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from xlir_bench.errors import InputError
from xlir_bench.training.parallel import (
    AlignedRecord,
    base_language,
    distinct_records,
    held_out,
    read_aligned,
    read_questions,
    split_sentences,
)


def written(path: Path, *lines: object) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    return path


def test_language_tags_keep_their_primary_subtag() -> None:
    assert [base_language(tag) for tag in ("zh-Hant", "zh_TW", "EN", "sw")] == ["zh", "zh", "en", "sw"]


def test_aligned_records_lose_blank_texts_and_records_of_one_language(tmp_path: Path) -> None:
    path = written(
        tmp_path / "news.jsonl.gz",
        {"en": " A dog. ", "zh-Hant": "一隻狗。", "tr": "  "},
        {"en": "Alone.", "de": ""},
    )
    assert list(read_aligned(path)) == [AlignedRecord("news", {"en": "A dog.", "zh": "一隻狗。"})]


def test_a_question_names_the_sentence_where_its_answer_starts(tmp_path: Path) -> None:
    passage = "Ankara başkenttir. İstanbul büyüktür. İzmir kıyıdadır."
    line = {
        "language": "tr",
        "question": "Hangisi büyük?",
        "passage": passage,
        "answer": "İstanbul",
        "answer_start": passage.index("İstanbul"),
    }
    (question,) = read_questions(written(tmp_path / "qa.jsonl.gz", line))
    assert question.sentences[question.answering] == "İstanbul büyüktür."
    assert (question.source, question.language, len(question.sentences)) == ("qa", "tr", 3)


def test_a_broken_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.jsonl.gz", {"en": "a", "de": "b"}, "{")
    with pytest.raises(InputError, match=r"bad\.jsonl\.gz, line 2"):
        list(read_aligned(path))
    with pytest.raises(InputError, match=r"line 1.*not a string"):
        list(read_aligned(written(tmp_path / "number.jsonl.gz", {"en": 1})))


def test_an_answer_outside_its_passage_is_an_error(tmp_path: Path) -> None:
    line = {"language": "tr", "question": "?", "passage": "Kısa.", "answer": "x", "answer_start": 99}
    with pytest.raises(InputError, match="outside the passage"):
        list(read_questions(written(tmp_path / "qa.jsonl.gz", line)))


def test_a_question_without_a_field_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 1"):
        list(read_questions(written(tmp_path / "qa.jsonl.gz", {"language": "tr"})))


@pytest.mark.parametrize(
    ("language", "text", "sentences"),
    [
        ("en", "One. Two!  Three?", ["One.", "Two!", "Three?"]),
        ("zh", "一。二！三", ["一。", "二！", "三"]),
        ("ar", "ماذا؟ نعم.", ["ماذا؟", "نعم."]),
        ("th", "ก" * 70 + " " + "ข" * 20 + " " + "ค" * 50, ["ก" * 70, "ข" * 20 + " " + "ค" * 50]),
    ],
)
def test_sentences_end_where_the_language_ends_them(language: str, text: str, sentences: list[str]) -> None:
    pieces = split_sentences(text, language)
    assert [sentence for _, sentence in pieces] == sentences
    assert all(text[offset : offset + len(sentence)] == sentence for offset, sentence in pieces)


def test_a_record_is_held_out_whatever_the_order_of_its_texts() -> None:
    records = [[f"text {i}", f"Text {i}"] for i in range(2000)]
    sides = [held_out(texts, 10) for texts in records]
    assert sides == [held_out(reversed(texts), 10) for texts in records]
    assert sum(sides) == pytest.approx(200, abs=45)
    assert not any(held_out(texts, 0) for texts in records)


def test_repeated_records_and_records_with_unwanted_texts_are_dropped() -> None:
    one, other = AlignedRecord("a", {"en": "x", "de": "y"}), AlignedRecord("b", {"en": "z", "de": "w"})
    assert distinct_records([one, one, other], {"z"}.__contains__) == [one]
