"""Pair stores made from what parallel data come as: SQuAD's layout, aligned texts, questions with passages.

Each record says one thing in several languages. Its rows join the query in x with the document in y:

* a record of SQuAD's layout is a question, by its id, with the passage that answers it, in every language that has it;
* a record of aligned texts is a text in each of its languages. With `spans` a query is a contiguous share of the text,
  and the document the whole text; else both are whole, and there is no X-X row, which would ask for the query itself;
* a record of questions with passages is in one language, and gives X-X rows alone.

A record in n languages has n X-X rows, which are all kept, and n (n - 1) X-Y rows, of which `per_record` are drawn: 21
languages would give 420. Which ones depends on the seed and the record, not on what else is read.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter

from xlir_bench.errors import InputError, MissingResourceError, at
from xlir_bench.languages import known
from xlir_bench.suites.source import read_json
from xlir_bench.suites.squad import Answer, Document, Paragraph, Question
from xlir_bench.training.heldout import span_of
from xlir_bench.training.parallel import (
    WITHOUT_SPACES,
    QuestionRecord,
    base_language,
    question_record,
    read_aligned,
    read_questions,
)
from xlir_bench.training.store import Pair

_LANGUAGE = "{language}"
_SHORTEST_FOR_SPAN = 8  # words, or code points where there are no spaces: less leaves a query of two words


@dataclass(frozen=True, slots=True)
class Derivation:
    """How rows are made of records.

    Attributes:
        languages: only these; None takes all.
        per_record: X-Y rows of a record, at most.
        documents: whether a question's document is the sentence that holds its answer, or the whole passage.
        negatives: other sentences of the same passage that a row carries, at most; only where documents are sentences.
        spans: whether an aligned text's queries are a share of it, see the module.
        origin: who made these texts; "" where people wrote them.
        seed: of every draw.
    """

    languages: frozenset[str] | None = None
    per_record: int = 16
    documents: Literal["sentence", "passage"] = "sentence"
    negatives: int = 0
    spans: bool = False
    origin: str = ""
    seed: int = 0

    def takes(self, code: str) -> bool:
        """Whether texts in a language are wanted."""
        return self.languages is None or code in self.languages

    def rng(self, *names: str) -> random.Random:
        """Draws for one record: the same whatever is read before it."""
        return random.Random(hashlib.sha256("\x1f".join([str(self.seed), *names]).encode()).digest())


@dataclass(frozen=True, slots=True)
class Said:
    """What a record says in one language, as a query or as a document.

    Attributes:
        text: the query or the document.
        negatives: of a document: others that do not answer the query.
        origin: see `store`.
    """

    text: str
    negatives: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One content in several languages, each query answered by each document.

    Attributes:
        dataset, group: see `store`.
        queries, documents: language -> what it says.
    """

    dataset: str
    group: str
    queries: dict[str, Said]
    documents: dict[str, Said]


def rows_of(
    record: Record,
    per_record: int,
    rng: random.Random,
    wanted: Callable[[Said, Said], bool] = lambda query, document: True,
) -> Iterator[Pair]:
    """The rows of one record: every X-X row, then X-Y rows drawn without repetition.

    Args:
        record: what to join.
        per_record: X-Y rows, at most.
        rng: what they are drawn by.
        wanted: whether a query and a document make a row at all.
    """
    every = [
        (x, y)
        for x, y in itertools.product(sorted(record.queries), sorted(record.documents))
        # A name that is the same in two languages teaches nothing but to be equal.
        if wanted(record.queries[x], record.documents[y]) and record.queries[x].text != record.documents[y].text
    ]
    cross = [(x, y) for x, y in every if x != y]
    if len(cross) > per_record:
        cross = sorted(rng.sample(cross, per_record))
    for x, y in [*((x, y) for x, y in every if x == y), *cross]:
        asked, answer = record.queries[x], record.documents[y]
        origin = asked.origin or answer.origin
        yield Pair(asked.text, answer.text, x, y, record.group, record.dataset, answer.negatives, origin)


def from_squad(pattern: str, derivation: Derivation) -> Iterator[Pair]:
    """Rows of files in SQuAD's layout, one per language, joined by the ids of their questions.

    Questions without an answer (SQuAD 2.0) are left out. The data set is called as the pattern without `{language}`.

    Args:
        pattern: place of the files, with `{language}` in it, e.g. `squad/train-{language}.json`.
        derivation: how rows are made.

    Raises:
        MissingResourceError: no file is called so.
        InputError: the pattern has no `{language}`, a file is not in SQuAD's layout, or an answer is outside its
            passage.
    """
    dataset = _dataset_of(pattern)
    by_question: dict[str, Record] = {}
    for code, path in _files_of(pattern, derivation):
        for question_id, record in _read_squad(path, dataset, code):
            joined = by_question.setdefault(question_id, Record(dataset, question_id, {}, {}))
            query, document = _said(record, derivation, derivation.rng(dataset, question_id, code))
            joined.queries.setdefault(code, query)
            joined.documents.setdefault(code, document)
    for question_id, joined in by_question.items():
        yield from rows_of(joined, derivation.per_record, derivation.rng(dataset, question_id))


def from_aligned(path: Path, derivation: Derivation) -> Iterator[Pair]:
    """Rows of a file of aligned texts (`parallel.read_aligned`); a record that occurs again is left out.

    Raises:
        InputError: a line is not like that.
    """
    seen: set[bytes] = set()
    for number, record in enumerate(read_aligned(path)):
        texts = {code: text for code, text in record.texts.items() if derivation.takes(code)}
        digest = hashlib.blake2b(repr(sorted(texts.items())).encode(), digest_size=16).digest()
        if digest in seen:
            continue
        seen.add(digest)
        rng = derivation.rng(record.source, str(number))
        documents = {
            code: Said(text, origin=derivation.origin)
            for code, text in sorted(texts.items())
            if not derivation.spans or _long_enough(text, code)
        }
        queries = documents
        if derivation.spans:
            queries = {code: Said(span_of(said.text, rng), origin=said.origin) for code, said in documents.items()}
        yield from rows_of(Record(record.source, str(number), queries, documents), derivation.per_record, rng)


def from_questions(path: Path, derivation: Derivation) -> Iterator[Pair]:
    """X-X rows of a file of questions with passages (`parallel.read_questions`).

    Raises:
        InputError: a line is not like that.
    """
    for number, record in enumerate(read_questions(path)):
        if derivation.takes(record.language):
            rng = derivation.rng(record.source, str(number))
            query, document = _said(record, derivation, rng)
            languages = ({record.language: query}, {record.language: document})
            yield from rows_of(Record(record.source, str(number), *languages), 0, rng)


def files_in(place: Path) -> list[Path]:
    """A file itself, or every `.jsonl.gz` file of a folder, sorted.

    Raises:
        MissingResourceError: there is no such file, or none in the folder.
    """
    found = sorted(place.glob("*.jsonl.gz")) if place.is_dir() else [place] if place.is_file() else []
    if not found:
        raise MissingResourceError(f"{place}: no such file, and no folder with .jsonl.gz files")
    return found


class _Question(Question):
    answers: list[Answer] = Field(default_factory=list)


_LAYOUT = TypeAdapter(Document[Paragraph[_Question]])


def _read_squad(path: Path, dataset: str, code: str) -> Iterator[tuple[str, QuestionRecord]]:
    """Id and record of every question that has an answer; the first of two answers counts."""
    for article in read_json(path, _LAYOUT, "SQuAD's layout").data:
        for paragraph in article.paragraphs:
            for question in paragraph.qas:
                if not question.answers:
                    continue
                start = question.answers[0].answer_start
                if not 0 <= start < max(len(paragraph.context), 1):
                    raise InputError(f"{at(path)}: the answer to question {question.id!r} starts outside the passage")
                record = question_record(dataset, code, question.question, paragraph.context, start)
                if record is not None:
                    yield question.id, record


def _said(record: QuestionRecord, derivation: Derivation, rng: random.Random) -> tuple[Said, Said]:
    """The query and the document of a question."""
    query = Said(record.question, origin=derivation.origin)
    if derivation.documents == "passage":
        return query, Said(record.passage, origin=derivation.origin)
    answer = record.sentences[record.answering]
    others = sorted(set(record.sentences) - {answer})
    drawn = tuple(rng.sample(others, min(derivation.negatives, len(others))))
    return query, Said(answer, drawn, derivation.origin)


def _dataset_of(pattern: str) -> str:
    """`squad/train-{language}.json` is the data set `train`, and `xquad/{language}.json` is `xquad`."""
    name = Path(pattern).name.removesuffix(".json").replace(_LANGUAGE, "").strip(".-_")
    return name or Path(pattern).resolve().parent.name


def _files_of(pattern: str, derivation: Derivation) -> list[tuple[str, Path]]:
    name = Path(pattern).name
    if name.count(_LANGUAGE) != 1:
        raise InputError(f"{pattern}: the file's name needs {_LANGUAGE} in it once, e.g. train-{_LANGUAGE}.json")
    before, after = name.split(_LANGUAGE)
    found = []
    for path in sorted(Path(pattern).parent.glob("*")):
        if path.name.startswith(before) and path.name.endswith(after) and len(path.name) > len(before) + len(after):
            code = base_language(path.name[len(before) : len(path.name) - len(after)])
            if known(code) is not None and derivation.takes(code):
                found.append((code, path))
    if not found:
        raise MissingResourceError(f"{pattern}: no file is called so with a language's code for {_LANGUAGE}")
    return found


def _long_enough(text: str, code: str) -> bool:
    return len(text if code in WITHOUT_SPACES else text.split()) >= _SHORTEST_FOR_SPAN
