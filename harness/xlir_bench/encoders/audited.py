"""The record of an audit: what of a suite's texts stands in an encoder's training data. A manifest names it.

`xlir-bench audit` writes it. It holds numbers, hashes and ids, and no text of the training data or of the suite.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xlir_bench.errors import InputError, first_problem

SCHEMA_VERSION = 1

_LARGEST = 32 << 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AuditedSuite(_Part):
    """The data that training texts were held against."""

    name: str
    version: int
    fingerprint: str = Field(description="SHA-256 of the collection, as a result on it has it")
    languages: tuple[str, ...]
    sides: tuple[Literal["query", "document"], ...] = Field(description="which of its texts were looked for")


class AuditedFile(_Part):
    """One file of training data."""

    name: str
    sha256: str = Field(description="of what it says; of a gzipped one, of what was compressed")
    texts: int


class AuditedTraining(_Part):
    """The training data as a whole."""

    fingerprint: str = Field(description="SHA-256 over the files' SHA-256, sorted: no name and no order enters")
    texts: int
    characters: int
    files: tuple[AuditedFile, ...]


class Overlap(_Part):
    """Texts of one language and side of the suite."""

    texts: int
    touched: int = Field(description="of them, how many share anything with the training data")
    leaked: int = Field(description="of those, how many are there as a whole or nearly so; the others: stock phrases")
    too_short: int = Field(description="texts too short to tell")
    longest: int = Field(description="words, or characters where there are no spaces, of the longest common stretch")


class Finding(_Part):
    """A text of the suite beside a training text that it overlaps with."""

    id: str = Field(description="of the suite's text")
    side: Literal["query", "document"]
    language: str
    leak: Literal["verbatim", "covered", "near", "equal"] | None = Field(
        description="by which rule the suite's text has leaked; None for stock phrases"
    )
    overlap: int = Field(description="as `Overlap.longest`; 0 where they are near duplicates only")
    likeness: float = Field(description="Jaccard index of near duplicates' shingles; 1 for equal texts; else 0")
    file: str
    row: int = Field(description="line or row from 1; 0 in a file that is one document")
    field: str = Field(description="the way to the text inside the row")
    copies: int = Field(description="how often the training data have the training text")
    sha256: str = Field(description="of the training text as UTF-8")


class AuditRecord(_Part):
    """What an audit found."""

    schema_version: int = SCHEMA_VERSION
    harness: str = Field(description="version of xlir-bench")
    suite: AuditedSuite
    training: AuditedTraining
    rules: dict[str, float] = Field(description="every number that the findings depend on")
    verdict: Literal["clean", "contaminated"]
    languages: dict[str, dict[Literal["query", "document"], Overlap]]
    findings: tuple[Finding, ...] = Field(description="leaks first, the longest first")
    findings_left_out: int = 0

    def leaked(self) -> dict[str, int]:
        """Language -> how many of its texts have leaked."""
        return {code: sum(one.leaked for one in sides.values()) for code, sides in self.languages.items()}

    def summary(self) -> dict[str, Any]:
        """What a result says of it."""
        suite = self.suite.model_dump(mode="json")
        return {
            "suite": suite.pop("name"),
            **suite,
            "training": self.training.fingerprint,
            "training_texts": self.training.texts,
            "leaked": self.leaked(),
        }


def read_audit(path: Path) -> AuditRecord:
    """The record in a file.

    Raises:
        InputError: there is none, or it is of another schema.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: larger than {_LARGEST >> 20} MiB; no audit record is")
        return AuditRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); `xlir-bench audit` writes it") from None
    except ValidationError as error:
        raise InputError(f"{path}: not an audit record: {first_problem(error)}; run the audit again") from None
