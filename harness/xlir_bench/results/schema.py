"""The Result: what one model scored on one suite, as it is written to JSON; see `SCHEMA_VERSION`."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from xlir_bench.encoders.display import display_id
from xlir_bench.encoders.protocol import Similarity

SCHEMA_VERSION = 1

_LARGEST = 10**15
"""Of any number of texts and any figure."""

_DEEPEST = 40
"""Levels of nesting; those of `ModelReference.details` are up to the model."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SuiteReference(_Part):
    """What was measured on. Results are comparable only where all three are equal."""

    name: str
    version: int
    fingerprint: str = Field(description="SHA-256 of the collection: texts, ids, languages, judgements")
    languages: tuple[str, ...] = Field(description="the languages that took part, sorted")


class ModelReference(_Part):
    """What was measured."""

    id: str
    name: str
    revision: str | None
    fingerprint: str = Field(description="SHA-256 of all that can change a vector")
    prompts: dict[str, str]
    details: dict[str, Any]
    similarity: Similarity | None = Field(
        default=None,
        description="how vectors were compared; None for a model without vectors, and in results of releases that did "
        "not state it",
    )

    @field_validator("id")
    @classmethod
    def _no_path(cls, model_id: str) -> str:
        """Results of earlier releases, and of strangers, may hold a path of somebody's machine."""
        return display_id(model_id)


class Timing(_Part):
    """Where the time went, in seconds. Texts that the cache held are not counted in `texts_per_s`."""

    encode_s: float
    rank_s: float
    measure_s: float
    texts_per_s: float | None = Field(description="None where nothing had to be encoded")
    texts_encoded: int
    texts_from_cache: int
    analyse_s: float = 0.0


class Score(_Part):
    """One measure in one row of a setting: a mean over queries."""

    setting: str
    query_language: str
    document_language: str = Field(description='a code, or "*" for the whole pool')
    measure: str
    value: float = Field(allow_inf_nan=False)
    queries: int = Field(description="how many queries the mean is over")
    documents: int = Field(description="the size of the pool")


Interval = tuple[float, float]
"""Low and high end of a 95 % interval: cluster bootstrap by question, percentiles of 10,000 resamples."""


class Bias(_Part):
    """How unevenly the multilingual rankings treat languages; docs/measures.md says what each figure means.

    A figure that cannot be computed from the data is absent, and `notes` says why.
    """

    summary: dict[str, float] = Field(description="figure -> mean over query languages, or over cells of a map")
    intervals: dict[str, Interval] = Field(
        description='of the figures in `summary`, and "measure.CODE" of document languages'
    )
    query_languages: dict[str, dict[str, float]] = Field(description="measure -> query language -> mean over queries")
    document_languages: dict[str, dict[str, float]] = Field(
        description="measure -> document language -> mean over query languages"
    )
    maps: dict[str, dict[str, dict[str, float]]] = Field(
        description="measure -> query language -> document language -> mean over queries"
    )
    groups: dict[str, dict[str, dict[str, dict[str, float]]]] = Field(
        description='"family", "script" or "resource_class" -> "query" or "document" side -> measure -> group -> mean'
    )
    pool_shares: dict[str, float] = Field(description="document language -> its share of the pool")
    notes: tuple[str, ...] = ()


class ZeroShotStatement(_Part):
    """Whether the model has seen the suite's texts, or their like, in training."""

    status: Literal["zero-shot", "not zero-shot", "unknown"]
    basis: Literal["audited", "partly audited", "declared", "none"] = Field(
        description="an audit of the texts of all training data or of some, or what the model declares of them"
    )
    because: tuple[str, ...] = Field(default=(), description="what speaks against it")


class Result(_Part):
    """Everything one run of one model on one suite found."""

    schema_version: int = SCHEMA_VERSION
    suite: SuiteReference
    model: ModelReference
    harness: dict[str, str]
    environment: dict[str, str]
    created: str = Field(description="when the run ended, ISO 8601, UTC")
    timing: Timing
    summary: dict[str, dict[str, float]] = Field(
        description="setting -> measure -> mean over the setting's rows, every row with equal weight"
    )
    intervals: dict[str, dict[str, Interval]] | None = Field(
        default=None, description="setting -> measure -> 95 % interval of the summary's figure"
    )
    bias: Bias | None = Field(default=None, description="None where not every language was searched at once")
    primary: dict[str, str] = Field(description="setting -> the measure that a table shows first")
    zero_shot: ZeroShotStatement | None = Field(
        default=None, description="None in results of releases that did not state it"
    )
    ties: float = Field(
        description="share of relevant documents that score exactly as another document of the searched pool does"
    )
    scores: tuple[Score, ...]
    notes: tuple[str, ...] = Field(
        default=(), description="what was remarkable in the collection, such as queries without a relevant document"
    )


def impossible(result: Result) -> str | None:
    """What a result says that no run gives, in a few words; None where there is nothing."""
    counts = [n for score in result.scores for n in (score.queries, score.documents)]
    counts += [result.suite.version, result.timing.texts_encoded, result.timing.texts_from_cache]
    if any(not 0 <= count <= _LARGEST for count in counts):
        return "a number of texts or a version that cannot be"
    waiting: list[tuple[Any, int]] = [(result.model_dump(), 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            return "details that are nested too deep"
        if isinstance(value, dict | list | tuple):
            parts = [*value, *value.values()] if isinstance(value, dict) else value
            waiting += [(part, depth + 1) for part in parts]
        elif isinstance(value, float) and not math.isfinite(value):
            return "a figure that is not finite"
        elif isinstance(value, float) and abs(value) > _LARGEST:
            return f"a figure of {value:g}, which no measure gives"
        elif isinstance(value, str) and not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
            return "half of a surrogate pair, which is no Unicode text"
    return None
