"""What the harness asks of an encoder, and what it records about a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from xlir_bench.errors import InputError
from xlir_bench.languages import described

Role = Literal["query", "document"]
Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
"""How two vectors are compared. Of the two distances the score is the negated distance, as in sentence-transformers."""
Vectors = npt.NDArray[np.float32]

FULL_ROUNDING = 1e-4
"""Relative difference between two float32 vectors of one text that only rounding explains."""


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns texts into vectors. The whole contract of a model of one's own is this method."""

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Vectors of `texts`.

        Args:
            texts: distinct, in an order that the harness chooses (longest first).
            role: whether they are searched with or searched for.
            languages: the language code of each text.

        Returns:
            Shape (texts, dimensions), finite; the harness normalises where the similarity is cosine.
        """
        ...


@runtime_checkable
class PartwiseEncoder(Protocol):
    """An encoder whose texts are paid for: what it finishes is to be kept at once, not at the end of a block."""

    def encode_parts(
        self, texts: Sequence[str], *, role: Role, languages: Sequence[str]
    ) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Positions in `texts` and their vectors, part by part, in any order, each position once."""
        ...


@runtime_checkable
class Tokenising(Protocol):
    """An encoder that can say beforehand how much work its texts are."""

    def lengths(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> npt.NDArray[np.int64]:
        """Tokens of each text as the model reads it, prompt and special tokens included, cut where it cuts."""
        ...


@runtime_checkable
class Abridging(Protocol):
    """An encoder that does not read every text whole, and says of how many that is so."""

    def abridged(self, texts: Sequence[str], *, role: Role) -> dict[str, int]:
        """How many of some texts are not read (`empty`) or not to their end (`cut`); without those of 0."""
        ...


@runtime_checkable
class Lookup(Protocol):
    """Vectors that were made elsewhere and go by the texts' ids; the texts themselves are never seen."""

    def lookup(self, ids: Sequence[str], *, role: Role) -> Vectors:
        """Vectors of the queries or documents with these ids, shape (ids, dimensions).

        Raises:
            InputError: there is none for an id.
        """
        ...


@dataclass(frozen=True)
class LanguageSupport:
    """Which languages a model knows, and what becomes of a text in another.

    Attributes:
        known: codes of the languages that it knows; None for all but `unknown`.
        unknown: codes of languages that it does not know.
        fallback: what a text in another language is treated as: a code, `as-is` for a model that is never told the
            language, or `error`.
    """

    known: frozenset[str] | None = None
    unknown: frozenset[str] = frozenset()
    fallback: str = "error"

    def knows(self, code: str) -> bool:
        """Whether the model knows the language."""
        return code not in self.unknown if self.known is None else code in self.known

    def check(self, codes: Iterable[str], who: str) -> None:
        """Refuse languages that the model neither knows nor has a fallback for.

        Raises:
            InputError: there is one.
        """
        if self.fallback != "error":
            return
        foreign = [code for code in codes if not self.knows(code)]
        if foreign:
            named = ", ".join(map(described, foreign))
            raise InputError(
                f"{who} does not know {named}: leave it out with --languages, or copy the model's manifest and declare "
                "what such texts are treated as (languages: {fallback: CODE})"
            )

    def treated_as(self, code: str, who: str) -> str:
        """The language that a text is encoded as.

        Raises:
            InputError: the model does not know the language, and no fallback is declared.
        """
        if self.knows(code):
            return code
        self.check([code], who)
        return code if self.fallback == "as-is" else self.fallback


@dataclass(frozen=True)
class ModelInfo:
    """What a result says about the model that made it.

    Attributes:
        id: what the user asked for, e.g. "xlir-hybrid-static" or "intfloat/multilingual-e5-small".
        name: a short name that is safe as a folder's name; two models of one id never share it.
        fingerprint: SHA-256 over everything that can change a score: all that can change a vector, and the similarity.
            Hexadecimal. Results are of one model where it is equal. Empty where nothing identifies the model: then
            nothing is stored.
        revision: the hub's commit, where there is one.
        prompts: the text put before each query and each document, exactly.
        similarity: how two vectors are compared.
        details: adapter, pooling, greatest length, parameters, ...: shown, never interpreted.
        vectors_fingerprint: SHA-256 over everything that can change a vector: weights or source code, tokenizer,
            pooling, prompts, lengths, precision, languages, adapter; see `encoders.identity`. Empty means that
            `fingerprint` serves for both.
        verify_stored: whether the fingerprints cannot see all that decides a vector, as those of models that are code
            cannot. Before anything stored is used again, a sample of texts is then encoded and compared.
        rounding: relative difference between two vectors of one text up to which they count as equal.
        stored_as: the type that all vectors are rounded to, whether or not they are stored.
    """

    id: str
    name: str
    fingerprint: str
    revision: str | None = None
    prompts: dict[str, str] = field(default_factory=lambda: {"query": "", "document": ""})
    similarity: Similarity = "cosine"
    details: dict[str, Any] = field(default_factory=dict)
    vectors_fingerprint: str = ""
    verify_stored: bool = False
    rounding: float = FULL_ROUNDING
    stored_as: Literal["float32", "float16"] = "float32"

    @property
    def vector_key(self) -> str:
        """The only key by which vectors are stored."""
        return self.vectors_fingerprint or self.fingerprint


class LexicalIndex(Protocol):
    """Scores of queries against an indexed pool, for models that have no vectors (BM25)."""

    def scores(self, queries: Sequence[str], languages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Scores of each query against every document of the pool, shape (queries, documents)."""
        ...


class Lexical(Protocol):
    """A model that indexes a pool and scores queries against it."""

    def index(self, documents: Sequence[str], languages: Sequence[str]) -> LexicalIndex:
        """An index over `documents`, in their order."""
        ...


@dataclass(frozen=True)
class Model:
    """A model that was resolved and can be measured: what it is, one of three ways to get scores, what it speaks."""

    info: ModelInfo
    retriever: Encoder | Lookup | Lexical
    language_support: LanguageSupport = field(default_factory=LanguageSupport)
