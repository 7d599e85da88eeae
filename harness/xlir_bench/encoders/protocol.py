"""What the harness asks of an encoder, and what it records about a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Role = Literal["query", "document"]
Similarity = Literal["cosine", "dot"]
Vectors = npt.NDArray[np.float32]


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


@dataclass(frozen=True)
class ModelInfo:
    """What a result says about the model that made it.

    Attributes:
        id: what the user asked for, e.g. "xlir-hybrid-static" or "intfloat/multilingual-e5-small".
        name: a short name that is safe as a folder's name; two models of one id never share it.
        fingerprint: SHA-256 over everything that can change a vector: weights, tokenizer, pooling, prompts, precision.
            Hexadecimal. It is the only key by which vectors are stored.
        revision: the hub's commit, where there is one.
        prompts: the text put before each query and each document, exactly.
        similarity: how two vectors are compared.
        details: adapter, pooling, greatest length, parameters, ...: shown, never interpreted.
    """

    id: str
    name: str
    fingerprint: str
    revision: str | None = None
    prompts: dict[str, str] = field(default_factory=lambda: {"query": "", "document": ""})
    similarity: Similarity = "cosine"
    details: dict[str, Any] = field(default_factory=dict)


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
    """A model that was resolved and can be measured: what it is, and one of the two ways to get scores from it."""

    info: ModelInfo
    retriever: Encoder | Lexical
