"""Scores that were published elsewhere, kept as what they are: no ranks, timings or prompts, but their origin.

A submission with an `imported.json` is marked *imported*. Its figures stand beside measured ones only where a reader
can see the mark; nothing can be recomputed from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xlir_bench.encoders.protocol import Similarity
from xlir_bench.errors import InputError, first_problem
from xlir_bench.submissions.untrusted import parse_json, read_bytes

FILE = "imported.json"

_Text = Annotated[str, Field(max_length=500)]
_Code = Annotated[str, Field(pattern=r"^[a-z]{2,4}$|^\*$")]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImportedModel(_Part):
    """The encoder, as its publisher describes it. Text of a stranger: escape it wherever it is shown.

    Attributes:
        name: ORGANISATION/NAME.
        revision: as published: a commit, or a word such as `external` for figures from the model's own card.
        licence, reference, released: as published.
        parameters, dimensions, max_length: numbers; None where unknown.
        similarity: how vectors are compared; None where unknown, or where it is none of ours.
        trained_on: names of data sets, as published; None where nothing was said, which is not the same as none.
        languages: ours, of those published that we know.
    """

    name: _Text
    revision: _Text
    licence: _Text | None = None
    reference: _Text | None = None
    released: _Text | None = None
    parameters: Annotated[int, Field(ge=0, le=10**14)] | None = None
    dimensions: Annotated[int, Field(ge=1, le=10**6)] | None = None
    max_length: Annotated[int, Field(ge=1, le=10**8)] | None = None
    similarity: Similarity | None = None
    trained_on: Annotated[tuple[_Text, ...], Field(max_length=2000)] | None = None
    languages: Annotated[tuple[_Code, ...], Field(max_length=500)] = ()


class ImportedRow(_Part):
    """One row of a setting, as published: measure -> value. How many queries it is over was not published."""

    setting: Literal["monolingual", "cross-lingual"]
    query_language: _Code
    document_language: _Code
    values: Annotated[dict[_Text, _Share], Field(max_length=100)]


class ImportedResult(_Part):
    """One task, split and revision of the data. Only results that agree in all three may share a table.

    Attributes:
        task, split: of the origin, e.g. MLQARetrieval, validation.
        dataset_revision: of the task's data, as published; None where nothing was.
        stale: whether that is another revision than the newest that results were published on.
        suite: our suite of the same texts and judgements, if there is one.
        harness: the version of the origin that computed it, where known.
        subsets: how many rows the task has.
        missing: the origin's names of rows that are not here. Where there are any, there is no mean.
        rows: the scores.
        summary: setting -> measure -> mean over rows; empty unless every row is here.
    """

    task: _Text
    split: _Text
    dataset_revision: _Text | None
    stale: bool
    suite: _Text | None = None
    harness: _Text | None = None
    subsets: Annotated[int, Field(ge=1, le=10**5)]
    missing: tuple[_Text, ...] = ()
    rows: Annotated[tuple[ImportedRow, ...], Field(max_length=10**5)]
    summary: dict[str, dict[str, _Share]] = {}

    @property
    def complete(self) -> bool:
        """Whether every row of the task is here, so that means can be compared."""
        return not self.missing


class Imported(_Part):
    """Everything that was published of one encoder at one revision."""

    schema_version: Literal[1] = 1
    origin: Literal["mteb"]
    model: ImportedModel
    results: Annotated[tuple[ImportedResult, ...], Field(max_length=1000)]


def read(path: Path) -> Imported:
    """An `imported.json`.

    Raises:
        InputError: it is none, or its means are not those of its rows.
    """
    try:
        imported = Imported.model_validate(parse_json(read_bytes(path), path))
    except ValidationError as error:
        raise InputError(f"{path}: not imported results: {first_problem(error)}") from None
    for result in imported.results:
        expected = summary(result.rows) if result.complete else {}
        if not _same(result.summary, expected):
            raise InputError(f"{path}: {result.task} {result.split}: the means are not those of the rows")
        if result.complete and len(result.rows) != result.subsets:
            raise InputError(f"{path}: {result.task} {result.split}: {len(result.rows)} rows of {result.subsets}")
    return imported


def summary(rows: Iterable[ImportedRow]) -> dict[str, dict[str, float]]:
    """Setting -> measure -> mean over rows, every row with equal weight; measures that a row lacks are left out."""
    by_setting: dict[str, list[ImportedRow]] = {}
    for row in rows:
        by_setting.setdefault(row.setting, []).append(row)
    return {
        setting: {
            measure: sum(row.values[measure] for row in members) / len(members)
            for measure in members[0].values
            if all(measure in row.values for row in members)
        }
        for setting, members in by_setting.items()
    }


def _same(one: dict[str, dict[str, float]], other: dict[str, dict[str, float]]) -> bool:
    if {s: set(m) for s, m in one.items()} != {s: set(m) for s, m in other.items()}:
        return False
    return all(abs(one[s][m] - other[s][m]) <= 1e-9 for s in one for m in one[s])
