"""BEIR's folder: corpus.jsonl, queries.jsonl, qrels/<split>.tsv (Thakur et al. 2021, arXiv 2104.08663)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from xlir_bench.collection import Collection, Judgements, Texts, concatenate
from xlir_bench.columns import end_to_end
from xlir_bench.errors import InputError
from xlir_bench.suites.judged import judged_collection, without_self_matches
from xlir_bench.suites.names import FolderOfLanguage, OfLanguage, OfSplit, Part, filled
from xlir_bench.suites.qrels import Qrel, read_qrels
from xlir_bench.suites.records import Layout
from xlir_bench.suites.source import FileSource, codes_of
from xlir_bench.suites.stored import Records, positions_of, read_records

SelfMatches = Literal["kept", "removed"]

_QRELS = "qrels/{split}.tsv"
_DOCUMENT = Layout(id="_id", text="text", title="title")
_QUERY = Layout(id="_id", text="text", title=None)
_ENDINGS = (".tsv", ".txt", ".qrels")

TWO_SIDES = "if queries and documents are in different languages, write `languages: {queries: [en], documents: [zh]}`"


class BeirSource(FileSource):
    """A BEIR folder, or one per language.

    A document's text is its title, a space, and its text. Only queries that are judged in the split are kept. Where a
    file is not there, the one that is compressed by gzip (`corpus.jsonl.gz`) is read, and for judgements in
    `qrels/<split>.tsv` also `.txt` and `.qrels`; see `suites.qrels` for their layout.

    Attributes:
        split: which judgements.
        folder: where a language's three files are, with `{language}` in it if there are several languages.
        parallel: whether an id means the same in every language, so that a document that answers a query also answers
            that query's versions, and the document's versions do.
        self_matches: whether a document with a query's own id stays in that query's ranking. `removed` is for
            collections whose queries are documents of the pool, such as ArguAna.
        corpus, queries, qrels: names of the files below `folder`, with `{split}` in that of the judgements.
        query_language: of the queries, where documents are in others.
        document_language: of the documents, one or several. Of several, `{language}` in `corpus` gives each its file;
            else every record of the corpus names its own in the field `language`.
    """

    empty_documents: ClassVar[bool] = True

    reader: Literal["beir"]
    split: Part = "test"
    folder: FolderOfLanguage = ""
    parallel: bool = False
    self_matches: SelfMatches = "kept"
    corpus: OfLanguage = "corpus.jsonl"
    queries: OfLanguage = "queries.jsonl"
    qrels: OfSplit = _QRELS
    query_language: str | None = None
    document_language: Annotated[
        Annotated[tuple[str, ...], Field(min_length=1)] | None,
        BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    ] = None

    @field_validator("query_language")
    @classmethod
    def _to_code(cls, tag: str | None) -> str | None:
        return None if tag is None else codes_of([tag], "the field")[0]

    @field_validator("document_language")
    @classmethod
    def _to_codes(cls, tags: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if tags is None else codes_of(tags, "the list")

    @model_validator(mode="after")
    def _both_sides(self) -> BeirSource:
        if (self.query_language is None) != (self.document_language is None):
            raise ValueError("query_language and document_language belong together: give both or neither")
        if self.query_language is not None and ("{language}" in self.folder or self.parallel):
            raise ValueError(
                "query_language and document_language are of one folder with one file of judgements: leave out "
                "`parallel`, and put {language} into `corpus` instead of `folder`"
            )
        if self.query_language is None and "{language}" in self.corpus:
            raise ValueError("{language} in `corpus` needs query_language and document_language")
        return self

    def problem(self, languages: Sequence[str]) -> str | None:
        """See `Source.problem`."""
        if self.query_language is not None:
            declared = {self.query_language, *(self.document_language or ())}
            if set(languages) != declared:
                return f"the source is in {' '.join(sorted(declared))} and the suite in {' '.join(sorted(languages))}"
        elif len(languages) > 1 and "{language}" not in self.folder:
            return f"a BEIR folder has one language; the suite names {' '.join(languages)}. {TWO_SIDES}"
        return super().problem(languages)

    def hint_across(self, languages: Sequence[str]) -> str:
        """See `Source.hint_across`."""
        if self.parallel or "{language}" not in self.folder or len(languages) < 2:
            return ""
        return (
            "if an id means the same in every language, `parallel: true` under `source` in a suite's YAML makes "
            "judgements hold across languages"
        )

    def sides(self, languages: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See `Source.sides`."""
        if self.query_language is None or self.document_language is None:
            return super().sides(languages)
        queries = (self.query_language,) if self.query_language in languages else ()
        return queries, tuple(code for code in self.document_language if code in languages)

    def files(self, languages: Sequence[str]) -> list[str]:
        """See `FileSource.files`."""
        if self.document_language is not None:
            corpora = dict.fromkeys(self._name(self.corpus, code) for code in self.document_language)
            return [*corpora, self._name(self.queries), self._qrels("")]
        return [
            name
            for code in languages
            for name in (self._name(self.corpus, code), self._name(self.queries, code), self._qrels(code))
        ]

    def present(self, folder: Path, name: str) -> Path:
        """See `FileSource.present`."""
        exact = folder / name
        stem = name.removesuffix(".tsv")
        of_judgements = self.qrels == _QRELS and f"/{name}".endswith(f"/qrels/{self.split}.tsv")
        endings = _ENDINGS if of_judgements else (name[len(stem) :],)
        found = [path for path in (_plain_or_packed(folder / f"{stem}{ending}") for ending in endings) if path]
        if len(found) > 1:
            named = " and ".join(path.name for path in found)
            raise InputError(f"{exact.parent}: {named} are both there; remove one, or name it as `qrels` in a suite")
        return found[0] if found else exact

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """See `FileSource.read`."""
        if (problem := self.problem(languages)) is not None and self.query_language is None:
            raise InputError(f"{folder}: {problem}")
        if self.query_language is not None:
            return self._read_across(folder, self.query_language, languages)
        prefixed = "{language}" in self.folder
        parts = [self._read_language(folder, language, f"{language}:" if prefixed else "") for language in languages]
        whole = concatenate(parts)
        return self._parallel(whole) if self.parallel else whole

    def _name(self, name: str, language: str = "") -> str:
        called = self.called(language)
        folder, name = (filled(part, language=called, split=self.split) for part in (self.folder, name))
        return f"{folder}/{name}" if folder else name

    def _qrels(self, language: str) -> str:
        return self._name(self.qrels, language)

    def _read_language(self, folder: Path, language: str, prefix: str) -> Collection:
        corpus, queries, judgements = (self.present(folder, name) for name in self.files([language]))
        asked = read_records(Records((queries,), _QUERY, language))
        documents = read_records(Records((corpus,), _DOCUMENT, language, prefix))
        texts = dict(zip(asked.ids, asked.texts, strict=True))
        judged = judged_collection(judgements, read_qrels(judgements), texts, documents, language, prefix)
        return without_self_matches(judged) if self.self_matches == "removed" else judged

    def _read_across(self, folder: Path, query_language: str, languages: Sequence[str]) -> Collection:
        """Queries in one language, documents in others, one file of judgements."""
        queries, documents = self.sides(languages)
        if not queries or not documents:
            raise InputError(
                f"{folder}: the queries are in {query_language} and the documents in "
                f"{' '.join(self.document_language or ())}; choose a language of each"
            )
        asked = read_records(Records((self.present(folder, self._name(self.queries)),), _QUERY, query_language))
        pool = self._documents(folder)
        path = self.present(folder, self._qrels(""))
        lines = list(read_qrels(path))
        if len(pool.sizes) > 1:
            lines = _with_language(path, lines, pool)
        texts = dict(zip(asked.ids, asked.texts, strict=True))
        judged = judged_collection(path, lines, texts, pool, query_language, "")
        judged = without_self_matches(judged) if self.self_matches == "removed" else judged
        chosen = (*queries, *documents)
        return judged if set(judged.languages) <= set(chosen) else judged.select(chosen)

    def _documents(self, folder: Path) -> Texts:
        """The pool. Where it has several languages, ids get theirs in front."""
        codes = self.document_language or ()
        by_field = len(codes) > 1 and "{language}" not in self.corpus
        layout = replace(_DOCUMENT, language="language") if by_field else _DOCUMENT
        parts = [
            read_records(
                Records(
                    (self.present(folder, self._name(self.corpus, code)),),
                    layout,
                    code,
                    f"{code}:" if len(codes) > 1 else "",
                    codes if by_field else (),
                )
            )
            for code in codes
        ]
        columns = (end_to_end([getattr(part, kind) for part in parts]) for kind in ("ids", "texts", "languages"))
        return Texts(*columns)

    def _parallel(self, whole: Collection) -> Collection:
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
        excluded = Judgements.of(own if self.self_matches == "removed" else ())
        return replace(whole, judgements=pairs, questions=names, excluded=excluded)


def splits(folder: Path) -> list[str]:
    """The splits that a BEIR folder has judgements of, sorted."""
    names = [path.name.removesuffix(".gz") for path in (folder / "qrels").glob("*") if path.is_file()]
    return sorted({name.removesuffix(ending) for name in names for ending in _ENDINGS if name.endswith(ending)})


def has_corpus(folder: Path) -> bool:
    """Whether a folder looks like BEIR's."""
    return _plain_or_packed(folder / "corpus.jsonl") is not None


def _plain_or_packed(path: Path) -> Path | None:
    """A file, else the one that is compressed beside it; None where there is neither."""
    packed = path.with_name(f"{path.name}.gz")
    return path if path.is_file() else packed if packed.is_file() else None


def _with_language(path: Path, lines: Sequence[Qrel], pool: Texts) -> list[Qrel]:
    """The judgements with each document's language before its id, as the pool has it.

    Raises:
        InputError: an id is that of documents in two languages.
    """
    names = {line.document for line in lines}
    full: dict[str, str] = {}
    for code in pool.sizes:
        for name in positions_of(pool, {f"{code}:{name}" for name in names}):
            plain = name.partition(":")[2]
            if plain in full:
                both = f"{full[plain]} and {name}"
                raise InputError(f"{path}: document {plain!r} is in two languages, as {both}; ids must be unique")
            full[plain] = name
    return [replace(line, document=full.get(line.document, line.document)) for line in lines]
