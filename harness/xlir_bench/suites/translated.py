"""A suite in further languages: the texts of one language and their translations, judged once for all of them.

    suite.yaml                what it is, and who translated it
    qrels.tsv                 query id, document id, gain; the first line is a header
    excluded.tsv              likewise, pairs that a ranking leaves out; only where there are any
    <language>/queries.jsonl  {"_id", "text"}: an id means the same in every language
    <language>/corpus.jsonl   likewise

A document that answers a query answers it in whichever languages the two are.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.columns import end_to_end
from xlir_bench.errors import InputError, at
from xlir_bench.suites.qrels import Qrel, distinct, read_qrels
from xlir_bench.suites.records import Layout
from xlir_bench.suites.source import FileSource, codes_of
from xlir_bench.suites.stored import Records, positions_of, read_records, remember_hash

DECLARATION = "suite.yaml"

_LAYOUT = Layout(id="_id", text="text", title=None)
_QUERIES, _CORPUS, _QRELS, _EXCLUDED = "queries.jsonl", "corpus.jsonl", "qrels.tsv", "excluded.tsv"
_HEADER = "query-id\tcorpus-id\tscore\n"


class MachineTranslation(BaseModel):
    """Where a translated suite comes from. Scores on it measure the translator too.

    Attributes:
        model: what translated, with its revision.
        fingerprint: SHA-256 of all of the translator that can change a translation.
        suite: what was translated.
        version: its version.
        collection: fingerprint of its collection in the language that was translated.
        language: that language.
        queries: languages whose queries are translations.
        documents: languages whose documents are translations.
        left_out: language -> texts whose translation was refused, and which are not in it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    fingerprint: str
    suite: str
    version: int
    collection: str
    language: str
    queries: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    left_out: dict[str, int] = {}


class TranslatedSource(FileSource):
    """The layout of this module.

    Attributes:
        queries: languages that have queries.
        documents: languages that have documents.
        exclusions: whether there are pairs that a ranking leaves out.
    """

    empty_documents: ClassVar[bool] = True

    reader: Literal["translated"]
    queries: tuple[str, ...] = Field(min_length=1)
    documents: tuple[str, ...] = Field(min_length=1)
    exclusions: bool = False

    def files(self, languages: Sequence[str]) -> list[str]:
        """See `FileSource.files`."""
        names = [_QRELS, *([_EXCLUDED] if self.exclusions else [])]
        names += [f"{self.called(code)}/{_QUERIES}" for code in languages if code in self.queries]
        return names + [f"{self.called(code)}/{_CORPUS}" for code in languages if code in self.documents]

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """See `FileSource.read`."""
        queries = self._side(folder, [code for code in languages if code in self.queries], _QUERIES)
        documents = self._side(folder, [code for code in languages if code in self.documents], _CORPUS)
        judged, notes = _lines(folder / _QRELS)
        excluded, more = _lines(folder / _EXCLUDED) if self.exclusions else ([], ())
        return Collection(
            queries,
            documents,
            _carried_over(judged, queries, documents, languages),
            [name.partition(":")[2] for name in queries.ids],
            _carried_over(excluded, queries, documents, languages),
            notes + more,
        )

    @field_validator("queries", "documents")
    @classmethod
    def _to_codes(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        return codes_of(tags, "the list")

    def _side(self, folder: Path, languages: Sequence[str], name: str) -> Texts:
        parts = [
            read_records(Records((folder / self.called(code) / name,), _LAYOUT, code, f"{code}:")) for code in languages
        ]
        columns = [end_to_end([getattr(part, kind) for part in parts]) for kind in ("ids", "texts", "languages")]
        return Texts(*columns)

    def sides(self, languages: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See `Source.sides`."""
        queries = tuple(code for code in languages if code in self.queries)
        return queries, tuple(code for code in languages if code in self.documents)


class Writer:
    """Writes the files of a translated suite, text by text, so that a corpus need not be in memory.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, kind: Literal["queries", "documents"], language: str, texts: Iterable[tuple[str, str]]) -> None:
        """Append texts of one language.

        Args:
            kind: what they are.
            language: code.
            texts: id, the same as in the other languages, and text.
        """
        path = self.folder / language / (_QUERIES if kind == "queries" else _CORPUS)
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(
                json.dumps({"_id": text_id, "text": text}, ensure_ascii=False) + "\n" for text_id, text in texts
            )

    def judge(self, pairs: Iterable[tuple[str, str, float]], *, excluded: bool = False) -> None:
        """Write the judged pairs, or those that a ranking leaves out: ids of query and document, and gain.

        Raises:
            InputError: an id has a tab or a line break in it, which a table cannot hold.
        """
        path = self.folder / (_EXCLUDED if excluded else _QRELS)
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(_HEADER)
            for query, document, gain in pairs:
                if any(letter in name for name in (query, document) for letter in "\t\r\n"):
                    raise InputError(f"{at(path)}: the ids {query!r} and {document!r} do not fit into a table")
                file.write(f"{query}\t{document}\t{gain:g}\n")

    def hashes(self) -> dict[str, str]:
        """Name -> SHA-256 of every file that was written, but the declaration."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != DECLARATION)
        return {path.relative_to(self.folder).as_posix(): remember_hash(path, "sha256") for path in paths}

    def declare(self, content: dict[str, Any]) -> None:
        """Write the declaration: last, for it makes the folder a suite."""
        import yaml

        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        (self.folder / DECLARATION).write_text(text, encoding="utf-8")


def _lines(path: Path) -> tuple[list[Qrel], tuple[str, ...]]:
    return distinct(path, read_qrels(path))


def _carried_over(lines: Sequence[Qrel], queries: Texts, documents: Texts, languages: Sequence[str]) -> Judgements:
    """Every judgement between all versions of its query and all versions of its document that are there."""
    query_at = _versions(queries, {line.query for line in lines}, languages)
    document_at = _versions(documents, {line.document for line in lines}, languages)
    gains = {
        (query, document): line.gain
        for line in lines
        for query in query_at[line.query]
        for document in document_at[line.document]
    }
    return Judgements.of((query, document, gain) for (query, document), gain in gains.items())


def _versions(side: Texts, names: set[str], languages: Sequence[str]) -> dict[str, list[int]]:
    """Id without its language -> rows, one per language that has it."""
    found: dict[str, list[int]] = defaultdict(list)
    rows = positions_of(side, {f"{code}:{name}" for code in languages for name in names})
    for text_id, row in rows.items():
        found[text_id.partition(":")[2]].append(row)
    return found
