"""Versions of one question, linked: a query in x is answered by its question's documents in every y."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from xlir_bench.collection import Collection, Judgements, Texts


@dataclass
class LanguagePart:
    """One language of a parallel suite, while it is being read.

    Attributes:
        query_ids, queries: id and text of each query; ids are unique in this language.
        document_ids, documents: id and text of each document; ids are unique in this language.
        answers: (question, query position, document position); a question is shared across languages.
    """

    query_ids: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    document_ids: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    answers: list[tuple[str, int, int]] = field(default_factory=list)

    def add_document(self, document_id: str, text: str) -> int:
        """Append a document; gives its position."""
        self.document_ids.append(document_id)
        self.documents.append(text)
        return len(self.documents) - 1

    def add_query(self, query_id: str, text: str) -> int:
        """Append a query; gives its position."""
        self.query_ids.append(query_id)
        self.queries.append(text)
        return len(self.queries) - 1


def linked(parts: Mapping[str, LanguagePart]) -> Collection:
    """One collection of all languages. Ids get their language in front: `ar:56beb4343aeaaa14008c925b`."""
    query_ids: list[str] = []
    queries: list[str] = []
    query_languages: list[str] = []
    questions: list[str] = []
    document_ids: list[str] = []
    documents: list[str] = []
    document_languages: list[str] = []
    queries_of: dict[str, set[int]] = defaultdict(set)
    documents_of: dict[str, set[int]] = defaultdict(set)
    for language, part in parts.items():
        first_query, first_document = len(queries), len(documents)
        question_of = {query: question for question, query, _ in reversed(part.answers)}
        query_ids += [f"{language}:{i}" for i in part.query_ids]
        queries += part.queries
        query_languages += [language] * len(part.queries)
        questions += [question_of.get(row, query_id) for row, query_id in enumerate(part.query_ids)]
        document_ids += [f"{language}:{i}" for i in part.document_ids]
        documents += part.documents
        document_languages += [language] * len(part.documents)
        for question, query, document in part.answers:
            queries_of[question].add(first_query + query)
            documents_of[question].add(first_document + document)
    pairs = {
        (query, document, 1.0)
        for question, of_question in queries_of.items()
        for query in of_question
        for document in documents_of[question]
    }
    return Collection(
        Texts(query_ids, queries, query_languages),
        Texts(document_ids, documents, document_languages),
        Judgements.of(pairs),
        questions,
    )
