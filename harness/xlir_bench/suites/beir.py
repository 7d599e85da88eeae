"""BEIR's folder: corpus.jsonl, queries.jsonl, qrels/<split>.tsv (Thakur et al. 2021, arXiv 2104.08663)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from xlir_bench.collection import Collection, Judgements, concatenate
from xlir_bench.errors import InputError
from xlir_bench.suites.judged import beir_qrels, judged_collection, without_self_matches
from xlir_bench.suites.records import Layout
from xlir_bench.suites.source import FileSource
from xlir_bench.suites.stored import Records, read_records

_DOCUMENT = Layout(id="_id", text="text", title="title")
_QUERY = Layout(id="_id", text="text", title=None)


class BeirSource(FileSource):
    """A BEIR folder, or one per language.

    A document's text is its title, a space, and its text. Only queries that are judged in the split are kept. A query
    is never an answer to itself: where a document has the query's id, it is left out of that query's ranking.

    Attributes:
        split: which judgements.
        folder: where a language's three files are, with `{language}` in it if there are several languages.
        parallel: whether an id means the same in every language, so that a document that answers a query also answers
            that query's versions, and the document's versions do.
    """

    empty_documents: ClassVar[bool] = True

    reader: Literal["beir"]
    split: str = "test"
    folder: str = ""
    parallel: bool = False

    def files(self, languages: Sequence[str]) -> list[str]:
        """See `FileSource.files`."""
        names = ("corpus.jsonl", "queries.jsonl", f"qrels/{self.split}.tsv")
        return [(Path(self._place(language)) / name).as_posix() for language in languages for name in names]

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """See `FileSource.read`."""
        if len(languages) != 1 and "{language}" not in self.folder:
            raise InputError(f"{folder}: a BEIR folder has one language; the suite names {len(languages)}")
        prefixed = "{language}" in self.folder
        parts = [self._read_language(folder, language, f"{language}:" if prefixed else "") for language in languages]
        whole = concatenate(parts)
        return _parallel(whole) if self.parallel else whole

    def _place(self, language: str) -> str:
        return self.folder.replace("{language}", self.called(language))

    def _read_language(self, folder: Path, language: str, prefix: str) -> Collection:
        corpus, queries, judgements = (folder / name for name in self.files([language]))
        asked = read_records(Records((queries,), _QUERY, language))
        documents = read_records(Records((corpus,), _DOCUMENT, language, prefix))
        texts = dict(zip(asked.ids, asked.texts, strict=True))
        judged = judged_collection(judgements, beir_qrels(judgements), texts, documents, language, prefix)
        return without_self_matches(judged)


def _parallel(whole: Collection) -> Collection:
    """The collection with every judgement carried over to all versions of its query and of its document."""
    names = [text_id.partition(":")[2] for text_id in whole.queries.ids]
    queries_of: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        queries_of[name].append(row)
    documents_of: dict[str, list[int]] = defaultdict(list)
    for row, text_id in enumerate(whole.documents.ids):
        documents_of[text_id.partition(":")[2]].append(row)
    judged = whole.judgements
    gains: dict[tuple[int, int], float] = {}
    for query, document, gain in zip(
        judged.query.tolist(), judged.document.tolist(), judged.gain.tolist(), strict=True
    ):
        for version in queries_of[names[query]]:
            for counterpart in documents_of[whole.documents.ids[document].partition(":")[2]]:
                gains[version, counterpart] = max(gain, gains.get((version, counterpart), gain))
    own = [
        (row, document, 0.0)
        for name, versions in queries_of.items()
        for document in documents_of.get(name, ())
        for row in versions
    ]
    pairs = Judgements.of((query, document, gain) for (query, document), gain in gains.items())
    return replace(whole, judgements=pairs, questions=names, excluded=Judgements.of(own))
