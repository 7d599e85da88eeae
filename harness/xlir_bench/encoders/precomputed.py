"""Vectors that were made elsewhere, keyed by text id: a Parquet file, a safetensors file, or a folder of npy files.

- Parquet: columns `role` ("query" or "document"), `id` and `vector` (a list of numbers);
- safetensors: matrices `query` and `document`, and in the file's metadata, under the same names, JSON lists of ids;
- a folder: `query.npy` and `document.npy`, and beside them `query.ids.txt` and `document.ids.txt`, one id per line.

The ids are the suite's, as `xlir-bench suites show` and the table of ranks have them (XQuAD-R: `de:` before the
question's id), so such vectors belong to one suite.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from xlir_bench.encoders.checkpoint import one_line, package
from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.errors import InputError
from xlir_bench.parquet_files import read_table

NAME = "precomputed"
SUFFIXES = (".parquet", ".safetensors")

_ROLES: tuple[Role, ...] = get_args(Role)
_HASHED_AT_ONCE = 1 << 24


class Precomputed:
    """The vectors in one file or folder.

    Args:
        path: see the module.

    Raises:
        InputError: it is not in one of the three forms, an id occurs twice, or the widths differ.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._vectors: dict[Role, Vectors] = {}
        self._rows: dict[Role, dict[str, int]] = {}
        try:
            columns = _read(path)
        except InputError:
            raise
        except Exception as error:  # three libraries, each with errors of its own on a file that is not right
            raise InputError(f"{path}: no precomputed embeddings ({one_line(error)})") from None
        for role, (ids, vectors) in columns.items():
            if vectors.ndim != 2 or len(vectors) != len(ids):
                raise InputError(f"{path}: {role}: {len(ids)} ids, but vectors of shape {vectors.shape}")
            self._rows[role] = {text_id: row for row, text_id in enumerate(ids)}
            if len(self._rows[role]) != len(ids):
                twice = next(i for row, i in enumerate(ids) if self._rows[role][i] != row)
                raise InputError(f"{path}: {role} id {twice!r} occurs twice; ids must be unique")
            self._vectors[role] = vectors
        widths = {vectors.shape[1] for vectors in self._vectors.values()}
        if len(widths) != 1:
            raise InputError(f"{path}: queries and documents need vectors of one width, not {sorted(widths)}")
        self.dimensions = widths.pop()

    def lookup(self, ids: Sequence[str], *, role: Role) -> Vectors:
        """See `protocol.Lookup`."""
        rows = self._rows.get(role, {})
        missing = [text_id for text_id in ids if text_id not in rows]
        if missing:
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            raise InputError(
                f"{self.path}: no vector for {role} {missing[0]!r}{more}; the ids must be those of the suite"
            )
        return self._vectors[role][[rows[text_id] for text_id in ids]]


def fingerprint(path: Path) -> str:
    """SHA-256 of the file or of the folder's files, in hexadecimal."""
    digest = hashlib.sha256(b"precomputed")
    for file in [path] if path.is_file() else sorted(path / f"{role}{end}" for role in _ROLES for end in _ENDS):
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as opened:
            while part := opened.read(_HASHED_AT_ONCE):
                digest.update(part)
    return digest.hexdigest()


_ENDS = (".npy", ".ids.txt")


def _read(path: Path) -> dict[Role, tuple[list[str], Vectors]]:
    if path.suffix == ".parquet":
        return _from_parquet(path)
    if path.suffix == ".safetensors":
        return _from_safetensors(path)
    if not path.is_dir():
        raise InputError(f"{path}: precomputed embeddings are a .parquet file, a .safetensors file or a folder")
    columns: dict[Role, tuple[list[str], Vectors]] = {}
    for role in _ROLES:
        for end in _ENDS:
            if not (path / f"{role}{end}").is_file():
                raise InputError(f"{path}: precomputed embeddings in a folder need {role}{end}")
        ids = (path / f"{role}.ids.txt").read_text("utf-8").splitlines()
        # Memory-mapped: only the rows that are asked for are read. Without pickles, as numpy does by default.
        columns[role] = ids, np.load(path / f"{role}.npy", mmap_mode="r", allow_pickle=False)
    return columns


def _from_parquet(path: Path) -> dict[Role, tuple[list[str], Vectors]]:
    table = read_table(path, ["role", "id", "vector"])
    roles = np.asarray(table["role"].to_pylist(), dtype=object)
    ids = np.asarray(table["id"].to_pylist(), dtype=object)
    flat = table["vector"].combine_chunks()
    lengths = np.unique(flat.value_lengths().to_numpy(zero_copy_only=False))
    if len(lengths) != 1 or table["vector"].null_count:
        raise InputError(f"{path}: every row of the column vector needs the same number of numbers")
    vectors = flat.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(ids), -1)
    return {role: (ids[roles == role].tolist(), vectors[roles == role]) for role in _ROLES}


def _from_safetensors(path: Path) -> dict[Role, tuple[list[str], Vectors]]:
    columns: dict[Role, tuple[list[str], Vectors]] = {}
    with package("safetensors", NAME).safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        for role in _ROLES:
            if role not in file.keys() or role not in metadata:  # noqa: SIM118  (the file is no mapping)
                raise InputError(f"{path}: needs a tensor {role!r}, and under that name in its metadata a list of ids")
            ids = [str(text_id) for text_id in json.loads(metadata[role])]
            columns[role] = ids, file.get_tensor(role).astype(np.float32)
    return columns
