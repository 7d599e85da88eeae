"""LAReQA's layout: SQuAD's JSON with the bounds of sentences; the candidates are sentences.

Source: Roy et al. 2020, "LAReQA: Language-agnostic answer retrieval from a multilingual pool" (arXiv 2004.05484).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError
from xlir_bench.suites.names import OfLanguage, filled, of_each_language
from xlir_bench.suites.parallel import LanguagePart, linked
from xlir_bench.suites.source import FileSource, read_json
from xlir_bench.suites.squad import Answer, Document, Paragraph, Question

BYTE_ORDER_MARK = "\ufeff"


class _Question(Question):
    answers: Annotated[list[Answer], Field(min_length=1)]


class _Paragraph(Paragraph[_Question]):
    sentence_breaks: list[tuple[int, int]]


_LAYOUT = TypeAdapter(Document[_Paragraph])


class LareqaSource(FileSource):
    """One file per language in LAReQA's layout.

    Attributes:
        file: name of a language's file, with `{language}` in it.
        text: what stands for a candidate: its sentence alone, or the sentence followed by its paragraph (the choice of
            LAReQA's own baselines).
    """

    reader: Literal["lareqa"]
    file: OfLanguage = "{language}.json"
    text: Literal["sentence", "sentence+context"] = "sentence"

    def problem(self, languages: Sequence[str]) -> str | None:
        """See `Source.problem`."""
        return of_each_language(self.file, languages) or super().problem(languages)

    def files(self, languages: Sequence[str]) -> list[str]:
        """See `FileSource.files`."""
        return [filled(self.file, language=self.called(language)) for language in languages]

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """See `FileSource.read`. Every sentence is a candidate, also where two are equal."""
        names = zip(languages, self.files(languages), strict=True)
        return linked({language: self._read_language(folder / name) for language, name in names})

    def _read_language(self, path: Path) -> LanguagePart:
        part = LanguagePart()
        for article_number, article in enumerate(read_json(path, _LAYOUT, "LAReQA's layout").data):
            for paragraph_number, paragraph in enumerate(article.paragraphs):
                place = f"{article_number}.{paragraph_number}"
                first = len(part.documents)
                for number, (start, end) in enumerate(paragraph.sentence_breaks):
                    # Sliced by the breaks: the files' own list of sentences disagrees with them in one paragraph.
                    sentence = paragraph.context[start:end]
                    text = sentence if self.text == "sentence" else f"{sentence} {paragraph.context}"
                    part.add_document(f"{place}.{number}", text.replace(BYTE_ORDER_MARK, ""))
                for question in paragraph.qas:
                    query = part.add_query(question.id, question.question.replace(BYTE_ORDER_MARK, ""))
                    sentence_number = _sentence_of(question, paragraph.sentence_breaks, path)
                    part.answers.append((question.id, query, first + sentence_number))
        return part


def _sentence_of(question: _Question, breaks: list[tuple[int, int]], path: Path) -> int:
    """The first sentence in which the answer begins. It may end in a later one."""
    answer_start = question.answers[0].answer_start
    for number, (start, end) in enumerate(breaks):
        if start <= answer_start < end:
            return number
    raise InputError(
        f"{path}: question {question.id!r}: its answer starts at {answer_start}, where no sentence of its paragraph is"
    )
