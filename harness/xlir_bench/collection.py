"""The one form of a test collection: two columns of texts and the judgements between them, as arrays.

A column is any sequence of strings: a list where the collection is small, a memory-mapped one where it is not
(`suites.stored`). Nothing here copies a column of the second kind.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from xlir_bench.errors import InputError

Integers = npt.NDArray[np.int64]

Setting = Literal["monolingual", "cross-lingual", "multilingual"]
"""Which pool a query searches: its own language, one other language, or everything."""

SETTINGS: tuple[Setting, ...] = get_args(Setting)

_CHUNK = 4096


class Constant(Sequence[str]):
    """One string, `size` times: the language of a monolingual column."""

    def __init__(self, value: str, size: int) -> None:
        self.value, self._size = value, size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return Constant(self.value, len(range(*at.indices(self._size))))
        if not -self._size <= at < self._size:
            raise IndexError(at)
        return self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(other) == len(self) and all(value == self.value for value in other)

    __hash__ = None  # type: ignore[assignment]


class Joined(Sequence[str]):
    """Several columns end to end, none of them copied."""

    def __init__(self, parts: Sequence[Sequence[str]]) -> None:
        self.parts = [part for part in parts if len(part)]
        self._starts = [0, *np.cumsum([len(part) for part in self.parts]).tolist()]

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                return [self[row] for row in range(start, stop, step)]
            pieces = zip(self._starts, self.parts, strict=False)
            cut = [part[max(start - first, 0) : max(stop - first, 0)] for first, part in pieces]
            kept = [piece for piece in cut if len(piece)]
            return kept[0] if len(kept) == 1 else Joined(kept)
        row = at + len(self) if at < 0 else at
        if not 0 <= row < len(self):
            raise IndexError(at)
        part = bisect_right(self._starts, row) - 1
        return self.parts[part][row - self._starts[part]]

    def __iter__(self) -> Iterator[str]:
        for part in self.parts:
            yield from part


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

    @cached_property
    def rows_by_language(self) -> dict[str, Integers]:
        """The positions of each language's texts, ascending; languages in code order."""
        found: dict[str, list[Integers]] = {code: [] for code in self.sizes}
        for run in self.spans:
            found[run.language].append(np.arange(run.start, run.stop, dtype=np.int64))
        return {code: np.concatenate(rows) for code, rows in found.items()}


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
        return tuple(sorted({*self.queries.sizes, *self.documents.sizes}))

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

    def validate(self, where: str, *, empty_documents: bool = False) -> None:
        """Check that the collection can be searched and scored.

        Args:
            where: what to call it in a message, e.g. "suite xquad-r".
            empty_documents: whether a document may be empty, as some are in collections that others published.

        Raises:
            InputError: an empty pool, no query, a judgement that points nowhere, an empty text, an id twice.
        """
        if not len(self.documents):
            raise InputError(f"{where}: the pool is empty; at least one document is needed")
        if not len(self.queries):
            raise InputError(f"{where}: there are no queries")
        for kind, side in (("query", self.queries), ("document", self.documents)):
            _check_ids(side, kind, where)
            if kind == "query" or not empty_documents:
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


class ColumnDigest:
    """The digest of a column, fed piece by piece: SHA-256 over the size and two SHA-256, of bytes and of lengths."""

    def __init__(self) -> None:
        self._bytes, self._lengths, self._size = hashlib.sha256(), hashlib.sha256(), 0

    def update(self, utf8: bytes | memoryview, lengths: npt.NDArray[np.integer]) -> None:
        """Texts in order.

        Args:
            utf8: their bytes, end to end.
            lengths: the bytes of each, shape (texts,).
        """
        self._bytes.update(utf8)
        self._lengths.update(np.ascontiguousarray(lengths, dtype="<u4").tobytes())
        self._size += len(lengths)

    def digest(self) -> bytes:
        """32 bytes."""
        parts = self._size.to_bytes(8, "little") + self._bytes.digest() + self._lengths.digest()
        return hashlib.sha256(parts).digest()


def column_digest(column: Sequence[str]) -> bytes:
    """The digest of a column: the one that it carries, where it was stored with one, else over its texts."""
    known = getattr(column, "digest", None)
    if isinstance(known, bytes):
        return known
    found = ColumnDigest()
    for begin in range(0, len(column), _CHUNK):
        encoded = [text.encode("utf-8", "surrogatepass") for text in column[begin : begin + _CHUNK]]
        found.update(b"".join(encoded), np.array([len(one) for one in encoded], dtype=np.int64))
    return found.digest()


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
    )


def end_to_end(columns: Sequence[Sequence[str]]) -> Sequence[str]:
    """Columns one after the other: a list where all are lists, else a view."""
    if all(isinstance(column, list) for column in columns):
        return [text for column in columns for text in column]
    return Joined(columns)


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
