"""The Result: what one model scored on one suite, as it is written to JSON; see `SCHEMA_VERSION`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


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


class Timing(_Part):
    """Where the time went, in seconds. Texts that the cache held are not counted in `texts_per_s`."""

    encode_s: float
    rank_s: float
    measure_s: float
    texts_per_s: float | None = Field(description="None where nothing had to be encoded")
    texts_encoded: int
    texts_from_cache: int


class Score(_Part):
    """One measure in one row of a setting: a mean over queries."""

    setting: str
    query_language: str
    document_language: str = Field(description='a code, or "*" for the whole pool')
    measure: str
    value: float = Field(allow_inf_nan=False)
    queries: int = Field(description="how many queries the mean is over")
    documents: int = Field(description="the size of the pool")


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
    primary: dict[str, str] = Field(description="setting -> the measure that a table shows first")
    ties: float = Field(
        description="share of relevant documents that score exactly as another document of the searched pool does"
    )
    scores: tuple[Score, ...]
