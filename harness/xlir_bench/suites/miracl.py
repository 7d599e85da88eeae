"""MIRACL's release: topics and judgements, and the corpus in compressed pieces (Zhang et al. 2023, TACL 11).

miracl-v1.0-<language>/topics/topics.miracl-v1.0-<language>-<split>.tsv    query id, tab, query
miracl-v1.0-<language>/qrels/qrels.miracl-v1.0-<language>-<split>.tsv      TREC's judgements
miracl-corpus-v1.0-<language>/docs-<number>.jsonl.gz                       docid, title, text
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from xlir_bench.collection import Collection, concatenate
from xlir_bench.errors import MissingResourceError
from xlir_bench.suites.judged import judged_collection, table
from xlir_bench.suites.names import Part
from xlir_bench.suites.qrels import Qrel, read_qrels
from xlir_bench.suites.records import Layout
from xlir_bench.suites.source import FileSource, codes_of
from xlir_bench.suites.stored import Records, read_records

MOST_SHARDS = 10_000
"""Pieces of one language's corpus; MIRACL's largest has 66."""

_PASSAGE = Layout(id="docid", text="text", title="title")


class MiraclSource(FileSource):
    """The release of MIRACL. A passage's text is its article's title, a space, and its text.

    Attributes:
        split: which topics and judgements.
        shards: language -> number of pieces of its corpus; where a language is not named, those that are there.
    """

    empty_documents: ClassVar[bool] = True

    reader: Literal["miracl"]
    split: Part = "dev"
    shards: dict[str, Annotated[int, Field(ge=0, le=MOST_SHARDS)]] = Field(default_factory=dict)

    def files(self, languages: Sequence[str]) -> list[str]:
        """See `FileSource.files`."""
        return [
            name
            for language in languages
            for name in (
                self.topics_file(language),
                self.qrels_file(language),
                *(f"{self._corpus(language)}/docs-{n}.jsonl.gz" for n in range(self.shards.get(language, 0))),
            )
        ]

    def _corpus(self, language: str) -> str:
        return f"miracl-corpus-v1.0-{self.called(language)}"

    @field_validator("shards")
    @classmethod
    def _by_code(cls, shards: dict[str, int]) -> dict[str, int]:
        return dict(zip(codes_of(shards, "the table"), shards.values(), strict=True))

    def topics_file(self, language: str) -> str:
        """Name of the file with a language's queries."""
        name = self.called(language)
        return f"miracl-v1.0-{name}/topics/topics.miracl-v1.0-{name}-{self.split}.tsv"

    def qrels_file(self, language: str) -> str:
        """Name of the file with a language's judgements."""
        name = self.called(language)
        return f"miracl-v1.0-{name}/qrels/qrels.miracl-v1.0-{name}-{self.split}.tsv"

    def topics(self, folder: Path, language: str) -> dict[str, str]:
        """Query id -> query.

        Raises:
            InputError: a line is no topic; the message names it.
        """
        return table(folder / self.topics_file(language))

    def qrels(self, folder: Path, language: str) -> list[Qrel]:
        """The judgements of a language.

        Raises:
            InputError: a line is no judgement; the message names it.
        """
        return list(read_qrels(folder / self.qrels_file(language)))

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """See `FileSource.read`. Each language's passages are converted once and memory-mapped."""
        return concatenate([self._read_language(folder, language) for language in languages])

    def _read_language(self, folder: Path, language: str) -> Collection:
        prefix = f"{language}:"
        pieces = _pieces(folder / self._corpus(language), self.shards.get(language))
        documents = read_records(Records(pieces, _PASSAGE, language, prefix))
        path = folder / self.qrels_file(language)
        asked = self.topics(folder, language)
        return judged_collection(path, iter(self.qrels(folder, language)), asked, documents, language, prefix)


def _pieces(folder: Path, shards: int | None) -> tuple[Path, ...]:
    """The corpus files in the order of their numbers."""
    if shards is not None:
        return tuple(folder / f"docs-{number}.jsonl.gz" for number in range(shards))
    found = {
        int(match[1]): path
        for path in folder.glob("docs-*.jsonl*")
        if (match := re.fullmatch(r"docs-(\d+)\.jsonl(\.gz)?", path.name))
    }
    if not found:
        raise MissingResourceError(f"{folder}: no docs-<number>.jsonl.gz; MIRACL's corpus of this language is needed")
    return tuple(found[number] for number in sorted(found))
