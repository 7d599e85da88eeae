"""All scores of some results as one long table: CSV, Parquet, JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlir_bench.files import replacing
from xlir_bench.results.schema import Result

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def long_table(results: Sequence[Result]) -> dict[str, list[Any]]:
    """A row per score, as columns of equal length.

    What identifies suite and model comes first, then every field of a score: fields that only some scores have are
    None elsewhere. A field that is itself composite (an interval, say) is spread over one column per part.
    """
    rows: list[dict[str, Any]] = []
    for result in results:
        identity = {
            "suite": result.suite.name,
            "suite_version": result.suite.version,
            "suite_fingerprint": result.suite.fingerprint,
            "model": result.model.name,
            "model_id": result.model.id,
            "revision": result.model.revision,
            "model_fingerprint": result.model.fingerprint,
            "similarity": result.model.similarity,
            "harness": result.harness.get("version"),
            "created": result.created,
        }
        rows += [identity | spread(score.model_dump(mode="json")) for score in result.scores]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def spread(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Composite values as `field_part` (a mapping) and `field_0`, `field_1` (a list); plain ones as they are."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            flat |= spread(value, f"{prefix}{name}_")
        elif isinstance(value, (list, tuple)):
            flat |= spread({str(place): part for place, part in enumerate(value)}, f"{prefix}{name}_")
        else:
            flat[prefix + name] = value
    return flat


def as_csv(results: Sequence[Result]) -> str:
    """The long table as CSV (RFC 4180) with a header; floats as short as they can be read back exactly.

    A text that a spreadsheet would take for a formula gets an apostrophe in front: names come from whoever made a
    model.
    """
    table = long_table(results)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table)
    writer.writerows([_cell(value) for value in row] for row in zip(*table.values(), strict=True))
    return out.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_json(results: Sequence[Result]) -> str:
    """The results as they are stored, in one array."""
    stored = [result.model_dump(mode="json") for result in results]
    return json.dumps(stored, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_parquet(results: Sequence[Result], path: Path) -> None:
    """The long table as Parquet; columns of names are dictionary-encoded.

    Raises:
        MissingResourceError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for name, values in long_table(results).items():
        column = pa.array(values)
        columns[name] = column.dictionary_encode() if pa.types.is_string(column.type) else column
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")
