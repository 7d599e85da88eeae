"""Encoders: the one protocol, an adapter per kind of model, and the way from a model's id to its vectors."""

from __future__ import annotations

from xlir_bench.encoders.cache import VectorCache
from xlir_bench.encoders.checkpoint import Options
from xlir_bench.encoders.encode import Encoded, encode_texts
from xlir_bench.encoders.protocol import (
    Encoder,
    LanguageSupport,
    Lexical,
    LexicalIndex,
    Lookup,
    Model,
    ModelInfo,
    Role,
    Similarity,
    Vectors,
)
from xlir_bench.encoders.resolve import bundled, identify, resolve

__all__ = [
    "Encoded",
    "Encoder",
    "LanguageSupport",
    "Lexical",
    "LexicalIndex",
    "Lookup",
    "Model",
    "ModelInfo",
    "Options",
    "Role",
    "Similarity",
    "VectorCache",
    "Vectors",
    "bundled",
    "encode_texts",
    "identify",
    "resolve",
]
