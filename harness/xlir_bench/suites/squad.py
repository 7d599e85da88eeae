"""SQuAD's layout, and read as paragraph retrieval, as MTEB builds XQuADRetrieval from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, TypeAdapter

from xlir_bench.collection import Collection
from xlir_bench.suites.names import OfLanguage, filled, of_each_language
from xlir_bench.suites.parallel import LanguagePart, linked
from xlir_bench.suites.source import FileSource, read_json


class Answer(BaseModel):
    """Where a question is answered: a code-point offset into the paragraph."""

    answer_start: int


class Question(BaseModel):
    """A question of a paragraph; `id` is the same in every language."""

    id: str
    question: str


QuestionT = TypeVar("QuestionT", bound=Question)
ParagraphT = TypeVar("ParagraphT", bound=BaseModel)


class Paragraph(BaseModel, Generic[QuestionT]):
    """A text and what is asked of it."""

    context: str
    qas: list[QuestionT]


class Article(BaseModel, Generic[ParagraphT]):
    """Paragraphs of one source."""

    paragraphs: list[ParagraphT]


class Document(BaseModel, Generic[ParagraphT]):
    """A file in SQuAD's layout. What is read of its questions and paragraphs beyond their texts, each reader says."""

    data: list[Article[ParagraphT]]


_LAYOUT = TypeAdapter(Document[Paragraph[Question]])


class SquadSource(FileSource):
    """One file per language in SQuAD's layout; the candidates are whole paragraphs.

    A document is a distinct paragraph and a query a distinct question: a question asked of two paragraphs has both as
    relevant documents.

    Attributes:
        file: name of a language's file, with `{language}` in it.
    """

    reader: Literal["squad"]
    file: OfLanguage = "{language}.json"

    def problem(self, languages: Sequence[str]) -> str | None:
        """See `Source.problem`."""
        return of_each_language(self.file, languages) or super().problem(languages)

    def files(self, languages: Sequence[str]) -> list[str]:
        """See `FileSource.files`."""
        return [filled(self.file, language=self.called(language)) for language in languages]

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """See `FileSource.read`."""
        names = zip(languages, self.files(languages), strict=True)
        return linked({language: _read_language(folder / name) for language, name in names})


def _read_language(path: Path) -> LanguagePart:
    part = LanguagePart()
    document_of: dict[str, int] = {}
    query_of: dict[str, int] = {}
    for article_number, article in enumerate(read_json(path, _LAYOUT, "SQuAD's layout").data):
        for paragraph_number, paragraph in enumerate(article.paragraphs):
            if paragraph.context not in document_of:
                place = f"{article_number}.{paragraph_number}"
                document_of[paragraph.context] = part.add_document(place, paragraph.context)
            for question in paragraph.qas:
                if question.question not in query_of:
                    query_of[question.question] = part.add_query(question.id, question.question)
                answer = (question.id, query_of[question.question], document_of[paragraph.context])
                part.answers.append(answer)
    return part
