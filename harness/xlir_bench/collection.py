"""The one in-memory form of a test collection: two columns of texts and the judgements between them, as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from xlir_bench.errors import InputError

Integers = npt.NDArray[np.int64]

Setting = Literal["monolingual", "cross-lingual", "multilingual"]
"""Which pool a query searches: its own language, one other language, or everything."""

SETTINGS: tuple[Setting, ...] = get_args(Setting)


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
    def rows_by_language(self) -> dict[str, Integers]:
        """The positions of each language's texts, ascending; languages in code order."""
        names = np.asarray(self.languages, dtype=str)
        return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


@dataclass(frozen=True)
class Judgements:
    """Which document answers which query.

    Attributes:
        query: position in the collection's queries, shape (judgements,), ascending.
        document: position in its documents, shape (judgements,).
        gain: graded relevance; above 0 is relevant, shape (judgements,).
    """

    query: Integers
    document: Integers
    gain: npt.NDArray[np.float64]

    @staticmethod
    def of(triples: Iterable[tuple[int, int, float]]) -> Judgements:
        """From (query, document, gain) in any order; sorted by query, then document."""
        rows = sorted(triples)
        return Judgements(
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.int64),
            np.array([row[2] for row in rows], dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.query)


@dataclass(frozen=True)
class Collection:
    """Queries, documents and judgements in one or many languages. The language settings are views on it, never copies.

    Attributes:
        queries: the questions.
        documents: the pool.
        judgements: every judged pair, over all languages.
        questions: for each query, the name of the question that it is a version of. Versions of one question in several
            languages share it; it is the unit that statistics resample.
        excluded: (query, document) pairs that a ranking leaves out, such as a query that is itself in the pool.
    """

    queries: Texts
    documents: Texts
    judgements: Judgements
    questions: Sequence[str]
    excluded: Judgements = field(default_factory=lambda: Judgements.of(()))

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The codes that queries or documents use, sorted."""
        return tuple(sorted({*self.queries.rows_by_language, *self.documents.rows_by_language}))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that can change a score: texts, ids, languages, judgements.

        Hexadecimal, 64 characters. Results may be compared only where it is equal.
        """
        digest = hashlib.sha256()
        columns: list[Sequence[str]] = [self.questions]
        for side in (self.queries, self.documents):
            columns += [side.ids, side.texts, side.languages]
        for column in columns:
            digest.update(len(column).to_bytes(8, "little"))
            for text in column:
                encoded = text.encode("utf-8", "surrogatepass")
                digest.update(len(encoded).to_bytes(4, "little"))
                digest.update(encoded)
        for pairs in (self.judgements, self.excluded):
            for numbers in (pairs.query, pairs.document, pairs.gain):
                digest.update(np.ascontiguousarray(numbers).tobytes())
        return digest.hexdigest()

    def select(self, languages: Sequence[str]) -> Collection:
        """The part of the collection whose queries and documents are both in `languages`."""
        wanted = set(languages)
        queries, query_at = _keep(self.queries, wanted)
        documents, document_at = _keep(self.documents, wanted)
        kept_questions = [self.questions[row] for row in np.flatnonzero(query_at >= 0).tolist()]
        return Collection(
            queries,
            documents,
            _renumber(self.judgements, query_at, document_at),
            kept_questions,
            _renumber(self.excluded, query_at, document_at),
        )

    def validate(self, where: str) -> None:
        """Check that the collection can be searched and scored.

        Args:
            where: what to call it in a message, e.g. "suite xquad-r".

        Raises:
            InputError: an empty pool, no query, a judgement that points nowhere, an empty text, an id twice.
        """
        if not len(self.documents):
            raise InputError(f"{where}: the pool is empty; at least one document is needed")
        if not len(self.queries):
            raise InputError(f"{where}: there are no queries")
        for kind, side in (("query", self.queries), ("document", self.documents)):
            _check_texts(side, kind, where)
        for name, pairs in (("judgement", self.judgements), ("exclusion", self.excluded)):
            for kind, rows, size in (
                ("query", pairs.query, len(self.queries)),
                ("document", pairs.document, len(self.documents)),
            ):
                if len(rows) and (rows.min() < 0 or rows.max() >= size):
                    raise InputError(f"{where}: a {name} points to {kind} {int(rows.max())}; there are {size}")
        if not (self.judgements.gain > 0).any():
            raise InputError(f"{where}: no query has a relevant document; check the judgements")


def concatenate(parts: Sequence[Collection]) -> Collection:
    """One collection of several, e.g. one per language. Their ids must not meet: readers put the language in front.

    Raises:
        ValueError: `parts` is empty.
    """
    if not parts:
        raise ValueError("nothing to concatenate")
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
    )


def _joined_texts(parts: Sequence[Texts]) -> Texts:
    return Texts(
        [i for part in parts for i in part.ids],
        [t for part in parts for t in part.texts],
        [code for part in parts for code in part.languages],
    )


def _keep(side: Texts, wanted: set[str]) -> tuple[Texts, Integers]:
    """The texts in `wanted` languages, and for every old position its new one, or -1."""
    rows = [row for row, code in enumerate(side.languages) if code in wanted]
    new_at = np.full(len(side), -1, dtype=np.int64)
    new_at[rows] = np.arange(len(rows))
    kept = Texts([side.ids[r] for r in rows], [side.texts[r] for r in rows], [side.languages[r] for r in rows])
    return kept, new_at


def _renumber(pairs: Judgements, query_at: Integers, document_at: Integers) -> Judgements:
    query, document = query_at[pairs.query], document_at[pairs.document]
    stays = (query >= 0) & (document >= 0)
    return Judgements(query[stays], document[stays], pairs.gain[stays])


def _check_texts(side: Texts, kind: str, where: str) -> None:
    seen: set[str] = set()
    for text_id, text in zip(side.ids, side.texts, strict=True):
        if text_id in seen:
            raise InputError(f"{where}: {kind} id {text_id!r} occurs twice; ids must be unique")
        seen.add(text_id)
        if not text.strip():
            raise InputError(f"{where}: {kind} {text_id!r} has an empty text")
