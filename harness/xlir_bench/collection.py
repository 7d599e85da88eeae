"""The one form of a test collection: two columns of texts and the judgements between them, as arrays.

A column is any sequence of strings: a list where the collection is small, a memory-mapped one where it is not
(`suites.stored`). Nothing here copies a column of the second kind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from xlir_bench.columns import Constant, Joined, column_digest, end_to_end
from xlir_bench.errors import InputError
from xlir_bench.judgements import Integers, Judgements, check_pairs

__all__ = ["SETTINGS", "Collection", "Integers", "Judgements", "LanguageSpan", "Setting", "Texts", "concatenate"]

Setting = Literal["monolingual", "cross-lingual", "multilingual"]
"""Which pool a query searches: its own language, one other language, or everything."""

SETTINGS: tuple[Setting, ...] = get_args(Setting)


@dataclass(frozen=True)
class LanguageSpan:
    """Texts of one language that stand together: rows `start` to `stop`, exclusive."""

    language: str
    start: int
    stop: int


@dataclass(frozen=True)
class Texts:
    """Queries or documents, in one order.

    Attributes:
        ids: unique among themselves.
        texts: what an encoder is given.
        languages: the language code of each text.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    languages: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.texts) == len(self.languages):
            raise ValueError(f"{len(self.ids)} ids, {len(self.texts)} texts, {len(self.languages)} languages")

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def spans(self) -> tuple[LanguageSpan, ...]:
        """The longest stretches of one language, in order."""
        merged: list[LanguageSpan] = []
        for run in _spans(self.languages):
            if merged and merged[-1].language == run.language:
                merged[-1] = LanguageSpan(run.language, merged[-1].start, run.stop)
            else:
                merged.append(run)
        return tuple(merged)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The number of texts in each language; languages in code order."""
        found: dict[str, int] = {}
        for run in self.spans:
            found[run.language] = found.get(run.language, 0) + run.stop - run.start
        return dict(sorted(found.items()))

    def language_numbers(self, rows: Integers) -> Integers:
        """The languages of the texts at some positions, as places in `sizes`; (positions,)."""
        place = {code: number for number, code in enumerate(self.sizes)}
        starts = np.array([span.start for span in self.spans], dtype=np.int64)
        numbers = np.array([place[span.language] for span in self.spans], dtype=np.int64)
        return numbers[np.searchsorted(starts, rows, side="right") - 1]

    def languages_at(self, rows: Integers) -> npt.NDArray[np.str_]:
        """The language codes of the texts at some positions; (positions,)."""
        return np.array(list(self.sizes), dtype=np.str_)[self.language_numbers(rows)]

    @cached_property
    def rows_by_language(self) -> dict[str, Integers]:
        """The positions of each language's texts, ascending; languages in code order."""
        found: dict[str, list[Integers]] = {code: [] for code in self.sizes}
        for run in self.spans:
            found[run.language].append(np.arange(run.start, run.stop, dtype=np.int64))
        return {code: np.concatenate(rows) for code, rows in found.items()}


@dataclass(frozen=True)
class Collection:
    """Queries, documents and judgements in one or many languages. The language settings are views on it, never copies.

    Attributes:
        queries: the questions.
        documents: the pool.
        judgements: every judged pair, over all languages.
        questions: for each query, the name of the question that it is a version of. Versions of one question in several
            languages share it; it is the unit that statistics resample.
        excluded: (query, document) pairs that a ranking leaves out, such as a query that is itself in the pool. A
            judgement of such a pair does not count.
        notes: what is wrong with the files and did not stop their reader, one sentence each; not in the fingerprint.
    """

    queries: Texts
    documents: Texts
    judgements: Judgements
    questions: Sequence[str]
    excluded: Judgements = field(default_factory=lambda: Judgements.of(()))
    notes: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The codes that queries or documents use, sorted."""
        return tuple(sorted({*self.queries.sizes, *self.documents.sizes}))

    @cached_property
    def left_out(self) -> npt.NDArray[np.bool_]:
        """Which judgements are of a pair in `excluded`; (judgements,)."""
        size = len(self.documents)
        judged, excluded = self.judgements, self.excluded
        return np.isin(judged.query * size + judged.document, excluded.query * size + excluded.document)

    @cached_property
    def relevant(self) -> npt.NDArray[np.bool_]:
        """Which judgements are of a relevant document that its query's ranking does not leave out; (judgements,)."""
        return (self.judgements.gain > 0) & ~self.left_out

    @cached_property
    def unanswered(self) -> Integers:
        """Positions of the queries that are judged and have no relevant document, ascending.

        They count as 0 in the rows that they are judged in; see `retrieval.ranks.Unanswered`.
        """
        return np.setdiff1d(self.judgements.query, self.judgements.query[self.relevant])

    @cached_property
    def judged_pairs(self) -> frozenset[tuple[str, str]]:
        """(query language, document language) of every monolingual and cross-lingual row."""
        counts = self.relevant | np.isin(self.judgements.query, self.unanswered)
        return _pairs(self, counts)

    @cached_property
    def relevant_pairs(self) -> frozenset[tuple[str, str]]:
        """(query language, document language) of the relevant documents."""
        return _pairs(self, self.relevant)

    def has_rows(self, setting: Setting) -> bool:
        """Whether a query is judged in the pool that the setting searches."""
        if setting == "multilingual":
            return bool(self.judged_pairs)
        return any((x == y) == (setting == "monolingual") for x, y in self.judged_pairs)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that can change a score: texts, ids, languages, judgements.

        A column enters by its own digest (`column_digest`), run of one language by run, so that a stored column is not
        read again. Hexadecimal, 64 characters. Results may be compared only where it is equal.
        """
        digest = hashlib.sha256(column_digest(self.questions))
        for side in (self.queries, self.documents):
            digest.update(len(side.spans).to_bytes(8, "little"))
            for run in side.spans:
                digest.update(column_digest([run.language]))
                digest.update(column_digest(side.ids[run.start : run.stop]))
                digest.update(column_digest(side.texts[run.start : run.stop]))
        for pairs in (self.judgements, self.excluded):
            for numbers in (pairs.query, pairs.document, pairs.gain):
                digest.update(len(numbers).to_bytes(8, "little"))
                digest.update(np.ascontiguousarray(numbers).tobytes())
        return digest.hexdigest()

    def select(self, languages: Sequence[str]) -> Collection:
        """The part of the collection whose queries and documents are both in `languages`.

        A query whose relevant documents are all in other languages is not judged in the part: it would seem to have
        no relevant document.
        """
        wanted = set(languages)
        queries, query_at = _keep(self.queries, wanted)
        documents, document_at = _keep(self.documents, wanted)
        judged = self.judgements
        staying = (query_at[judged.query] >= 0) & (document_at[judged.document] >= 0)
        lost = np.setdiff1d(judged.query[self.relevant], judged.query[self.relevant & staying])
        counts = ~np.isin(judged.query, lost)
        kept_questions = [self.questions[row] for row in np.flatnonzero(query_at >= 0).tolist()]
        return Collection(
            queries,
            documents,
            _renumber(
                Judgements(judged.query[counts], judged.document[counts], judged.gain[counts]), query_at, document_at
            ),
            kept_questions,
            _renumber(self.excluded, query_at, document_at),
            self.notes,
        )

    def validate(self, where: str, *, empty_documents: bool = False) -> None:
        """Check that the collection can be searched and scored.

        Args:
            where: what to call it in a message, e.g. "suite xquad-r".
            empty_documents: whether a document may be empty, as some are in collections that others published.

        Raises:
            InputError: an empty pool, no query, an empty text, an id twice, or see `validate_judgements`.
        """
        if not len(self.documents):
            raise InputError(f"{where}: the pool is empty; at least one document is needed")
        if not len(self.queries):
            raise InputError(f"{where}: there are no queries")
        for kind, side in (("query", self.queries), ("document", self.documents)):
            _check_ids(side, kind, where)
            if kind == "query" or not empty_documents:
                _check_texts(side, kind, where)
        self.validate_judgements(where)

    def validate_judgements(self, where: str) -> None:
        """Check the judgements and exclusions, without looking at a text.

        Args:
            where: see `validate`.

        Raises:
            InputError: arrays of different lengths or of the wrong type, a gain that is no finite number, an order
                other than by query, a pair judged twice or pointing to a text that does not exist, a question missing,
                or no query with a relevant document.
        """
        if len(self.questions) != len(self.queries):
            raise InputError(f"{where}: {len(self.questions)} questions for {len(self.queries)} queries")
        for name, pairs in (("judgement", self.judgements), ("exclusion", self.excluded)):
            check_pairs(pairs, (self.queries.ids, self.documents.ids), (name, where))
        if self.relevant.any():
            return
        if (self.judgements.gain > 0).any():
            raise InputError(
                f"{where}: no query has a relevant document: every judged relevant document is left out of its query's "
                "ranking; check what the suite declares as self_matches or exclusions"
            )
        raise InputError(f"{where}: no query has a relevant document; check the judgements")


def concatenate(parts: Sequence[Collection]) -> Collection:
    """One collection of several, e.g. one per language. Their ids must not meet: readers put the language in front.

    Raises:
        ValueError: `parts` is empty.
    """
    if not parts:
        raise ValueError("nothing to concatenate")
    if len(parts) == 1:
        return parts[0]
    query_offsets = np.cumsum([0] + [len(part.queries) for part in parts[:-1]])
    document_offsets = np.cumsum([0] + [len(part.documents) for part in parts[:-1]])

    def joined(pairs: Sequence[Judgements]) -> Judgements:
        return Judgements(
            np.concatenate([p.query + at for p, at in zip(pairs, query_offsets, strict=True)]),
            np.concatenate([p.document + at for p, at in zip(pairs, document_offsets, strict=True)]),
            np.concatenate([p.gain for p in pairs]),
        )

    return Collection(
        _joined_texts([part.queries for part in parts]),
        _joined_texts([part.documents for part in parts]),
        joined([part.judgements for part in parts]),
        [question for part in parts for question in part.questions],
        joined([part.excluded for part in parts]),
        tuple(note for part in parts for note in part.notes),
    )


def _spans(languages: Sequence[str]) -> Iterator[LanguageSpan]:
    """Stretches of one language; neighbours may have the same."""
    if isinstance(languages, Constant):
        if len(languages):
            yield LanguageSpan(languages.value, 0, len(languages))
    elif isinstance(languages, Joined):
        start = 0
        for part in languages.parts:
            yield from (LanguageSpan(run.language, start + run.start, start + run.stop) for run in _spans(part))
            start += len(part)
    elif len(languages):
        names = np.asarray(languages, dtype=str)
        bounds = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
        for begin, end in pairwise(bounds):
            yield LanguageSpan(str(names[begin]), begin, end)


def _joined_texts(parts: Sequence[Texts]) -> Texts:
    return Texts(
        end_to_end([part.ids for part in parts]),
        end_to_end([part.texts for part in parts]),
        end_to_end([part.languages for part in parts]),
    )


def _keep(side: Texts, wanted: set[str]) -> tuple[Texts, Integers]:
    """The texts in `wanted` languages, and for every old position its new one, or -1."""
    runs = [run for run in side.spans if run.language in wanted]
    new_at = np.full(len(side), -1, dtype=np.int64)
    size = 0
    for run in runs:
        new_at[run.start : run.stop] = np.arange(size, size + run.stop - run.start)
        size += run.stop - run.start
    ids, texts, languages = (
        end_to_end([column[run.start : run.stop] for run in runs]) for column in (side.ids, side.texts, side.languages)
    )
    return Texts(ids, texts, languages), new_at


def _renumber(pairs: Judgements, query_at: Integers, document_at: Integers) -> Judgements:
    query, document = query_at[pairs.query], document_at[pairs.document]
    stays = (query >= 0) & (document >= 0)
    return Judgements(query[stays], document[stays], pairs.gain[stays])


def _pairs(collection: Collection, chosen: npt.NDArray[np.bool_]) -> frozenset[tuple[str, str]]:
    """The language pairs of some judgements, chosen by a mask."""
    queries, documents = list(collection.queries.sizes), list(collection.documents.sizes)
    asked = collection.queries.language_numbers(collection.judgements.query[chosen])
    given = collection.documents.language_numbers(collection.judgements.document[chosen])
    found = np.unique(asked * len(documents) + given).tolist()
    return frozenset((queries[key // len(documents)], documents[key % len(documents)]) for key in found)


def _check_ids(side: Texts, kind: str, where: str) -> None:
    parts = side.ids.parts if isinstance(side.ids, Joined) else [side.ids]
    if all(getattr(part, "unique", False) for part in parts):
        # Found to be unique when they were stored; between languages they differ by the code in front.
        return
    seen: set[str] = set()
    for text_id in side.ids:
        if text_id in seen:
            raise InputError(f"{where}: {kind} id {text_id!r} occurs twice; ids must be unique")
        seen.add(text_id)


def _check_texts(side: Texts, kind: str, where: str) -> None:
    for text_id, text in zip(side.ids, side.texts, strict=True):
        if not text.strip():
            raise InputError(f"{where}: {kind} {text_id!r} has an empty text")
