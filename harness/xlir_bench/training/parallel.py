"""Aligned texts and questions with passages, read from JSON lines into typed records.

Two layouts are read, both gzipped JSON with one object per line:

* aligned texts, `{language: text, ...}`: the same content in two languages or more;
* questions, `{"language", "question", "passage", "answer", "answer_start"}`: offsets are code points.

Records are held out for development by a hash of their text (`held_out`), so a record stays on its side
whatever the order of the files, and whichever files are read beside it.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xlir_bench.errors import InputError
from xlir_bench.languages import normalise

_SENTENCE_END = re.compile(r"(?<=[.!?؟])\s+|(?<=[。！？])|\n+")
# Thai ends a clause with a space and no mark, so a space is the only boundary there is.
_THAI_CLAUSE = re.compile(r"\s+")

WITHOUT_SPACES = frozenset({"ja", "th", "zh"})
"""Languages that put no space between words."""


@dataclass(frozen=True, slots=True)
class AlignedRecord:
    """One content in several languages.

    Attributes:
        source: name of the source, for example `flores_devtest`.
        texts: text by ISO 639-1 code; at least two languages, no empty text.
    """

    source: str
    texts: dict[str, str]


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """A question and the passage that answers it, both in one language.

    Attributes:
        source: name of the source, for example `tquad`.
        language: ISO 639-1 code.
        question: the question.
        sentences: the passage cut into sentences, in order.
        answering: index in `sentences` of the sentence where the answer starts.
        passage: the whole passage, as it was written.
    """

    source: str
    language: str
    question: str
    sentences: tuple[str, ...]
    answering: int
    passage: str = ""


def base_language(tag: str) -> str:
    """The code of a tag's language without its script: `zh-Hant`, `zh_TW` and `cmn` give `zh`.

    Of a name that is no tag of a language, the part before a hyphen or underscore, in lower case.
    """
    try:
        return normalise(tag).partition("-")[0]
    except InputError:
        return re.split(r"[-_]", tag, maxsplit=1)[0].lower()


def split_sentences(text: str, language: str) -> list[tuple[int, str]]:
    """Cut a text into sentences by its marks; in Thai, by clauses of about 60 code points.

    Returns:
        `(offset of the first code point, sentence)` for every sentence that is not blank, in order.
    """
    boundary = _THAI_CLAUSE if language == "th" else _SENTENCE_END
    shortest = 60 if language == "th" else 1
    pieces: list[tuple[int, str]] = []
    start = 0
    for match in boundary.finditer(text):
        if match.start() - start < shortest:
            continue
        if piece := text[start : match.start()].strip():
            pieces.append((start, piece))
        start = match.end()
    if piece := text[start:].strip():
        pieces.append((start, piece))
    return pieces


def read_aligned(path: Path) -> Iterator[AlignedRecord]:
    """Read one file of aligned texts.

    Blank texts are dropped, language tags shortened to their primary subtag (the first text of a language
    is kept), and records left with one language skipped.

    Raises:
        InputError: a line is no JSON object of strings.
    """
    source = _source_name(path)
    for number, line in _json_lines(path):
        texts: dict[str, str] = {}
        for tag, text in line.items():
            if not isinstance(text, str):
                raise InputError(f"{path}, line {number}: the text of {tag!r} is not a string")
            if text.strip():
                texts.setdefault(base_language(tag), text.strip())
        if len(texts) > 1:
            yield AlignedRecord(source, texts)


def read_questions(path: Path) -> Iterator[QuestionRecord]:
    """Read one file of questions with passages.

    Raises:
        InputError: a line lacks a field, or its answer starts outside the passage.
    """
    source = _source_name(path)
    for number, line in _json_lines(path):
        try:
            language = base_language(str(line["language"]))
            question, passage = str(line["question"]), str(line["passage"])
            answer_start = int(str(line["answer_start"]))
        except (KeyError, ValueError) as error:
            raise InputError(f"{path}, line {number}: no usable field {error}") from error
        if not 0 <= answer_start < max(len(passage), 1):
            raise InputError(f"{path}, line {number}: the answer starts outside the passage")
        record = question_record(source, language, question, passage, answer_start)
        if record is not None:
            yield record


def question_record(
    source: str, language: str, question: str, passage: str, answer_start: int
) -> QuestionRecord | None:
    """A question with its passage cut into sentences; None where one of the two is blank."""
    pieces = split_sentences(passage, language)
    if not pieces or not question.strip():
        return None
    answering = max(i for i, (offset, _) in enumerate(pieces) if offset <= answer_start or i == 0)
    sentences = tuple(sentence for _, sentence in pieces)
    return QuestionRecord(source, language, question.strip(), sentences, answering, passage.strip())


def held_out(texts: Iterable[str], percent: int) -> bool:
    """Tell whether the record with these texts belongs to the held-out `percent` of all records."""
    digest = zlib.crc32("\x1f".join(sorted(texts)).encode())
    return digest % 100 < percent


def distinct_records(
    records: Sequence[AlignedRecord], without: Callable[[str], bool] = lambda text: False
) -> list[AlignedRecord]:
    """Drop repeated records, and every record with a text for which `without` is true."""
    seen: set[frozenset[tuple[str, str]]] = set()
    kept: list[AlignedRecord] = []
    for record in records:
        key = frozenset(record.texts.items())
        if key in seen or any(without(text) for text in record.texts.values()):
            continue
        seen.add(key)
        kept.append(record)
    return kept


def _source_name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}, line {number}: no JSON ({error.msg})") from error
            if not isinstance(value, dict):
                raise InputError(f"{path}, line {number}: a JSON object is expected")
            yield number, value
