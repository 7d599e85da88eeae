"""What identifies a model: a fingerprint of what decides its vectors, and one of the model as it is measured.

Two models whose vectors follow from the same things share stored vectors. Two results are of the same model only where
the vectors are also compared in the same way. Both fingerprints are composed here, for every kind of model, so that no
adapter can leave out a setting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from xlir_bench.encoders.protocol import FULL_ROUNDING, LanguageSupport, ModelInfo

_FORMAT = 2
"""To be raised when the way in which a fingerprint is composed changes."""

ADAPTER_VERSIONS: Mapping[str, int] = {}
"""Adapter -> its version, 1 where it is not listed. Raise it when an adapter comes to compute other vectors from the
same files and settings: stored vectors and finished results are then not used again."""

_HALF_ROUNDING = 2e-2
_STORED_HALF_ROUNDING = 2e-3
_HALF = {"float16", "bfloat16"}


@dataclass(frozen=True)
class VectorFields:
    """What the vectors of a model follow from, beside the prompts that stand in its `ModelInfo`.

    Attributes:
        adapter: the kind of model.
        content: SHA-256 of weights, tokenizer and configuration, or of source code; hexadecimal.
        settings: settings in force that change a vector: pooling, max_length, precision, truncate_dim, backend, ...
        language_support: which languages the model knows, and what texts in others are treated as.
        stored_as: the type that vectors are rounded to.
    """

    adapter: str
    content: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    language_support: LanguageSupport = field(default_factory=LanguageSupport)
    stored_as: str = "float32"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        support = self.language_support
        return {
            "adapter": self.adapter,
            "adapter_version": ADAPTER_VERSIONS.get(self.adapter, 1),
            "content": self.content,
            "settings": dict(self.settings),
            "languages": {
                "known": None if support.known is None else sorted(support.known),
                "unknown": sorted(support.unknown),
                "fallback": support.fallback,
            },
            "stored_as": self.stored_as,
        }


def identified(info: ModelInfo, fields: VectorFields) -> ModelInfo:
    """A description of a model with both of its fingerprints.

    Args:
        info: without fingerprints. Its prompts and its similarity are part of the identity. `{fingerprint}` in its name
            becomes the first 8 digits.
        fields: what else the vectors follow from.
    """
    vectors = _digest({"format": _FORMAT, **fields.as_dict(), "prompts": info.prompts})
    measured = _digest({"format": _FORMAT, "vectors": vectors, "similarity": info.similarity})
    return replace(
        info,
        name=info.name.replace("{fingerprint}", measured[:8]),
        fingerprint=measured,
        vectors_fingerprint=vectors,
        rounding=max(info.rounding, _rounding(fields)),
    )


def rounded(info: ModelInfo, language_support: LanguageSupport, stored_as: Literal["float32", "float16"]) -> ModelInfo:
    """The model whose vectors are rounded as they are where they are stored: another one, for its scores differ."""
    adapter = str(info.details.get("adapter", ""))
    # The number rises when other vectors of a run come to be rounded.
    fields = VectorFields(adapter, info.vector_key, {"rounding": 2}, language_support, stored_as)
    details = {**info.details, "stored_as": stored_as}
    return identified(replace(info, name=f"{info.name}-{stored_as}", details=details, stored_as=stored_as), fields)


def with_kept_documents(info: ModelInfo) -> ModelInfo:
    """The model whose documents are kept as float16 on disk: its scores are others, its stored vectors the same."""
    return replace(
        info,
        fingerprint=digest_of(info.fingerprint, "documents kept as float16"),
        vectors_fingerprint=info.vector_key,
        details={**info.details, "documents_stored_as": "float16"},
    )


def digest_of(*parts: str | bytes) -> str:
    """SHA-256 over some parts, each of which counts with its length; hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _rounding(fields: VectorFields) -> float:
    """The greatest relative difference between two vectors of one text that only rounding explains."""
    if not _HALF.isdisjoint({fields.settings.get("precision"), fields.settings.get("autocast")}):
        return _HALF_ROUNDING
    return _STORED_HALF_ROUNDING if fields.stored_as in _HALF else FULL_ROUNDING
