"""Reading files that someone else wrote: bounded in size and depth, inside one folder, and nothing in them runs.

Every reader of a submission goes through here. What is read this way is still text of a stranger: whoever shows it
escapes it for the place where it is shown.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from xlir_bench import yaml_files
from xlir_bench.errors import InputError, printable

MIB = 1 << 20
MOST_FILES = 2000
MOST_DEPTH = 4
MOST_BYTES = 8 << 30
"""All files of a submission together: the weights of an encoder fit."""

LIMITS = {
    ".yaml": MIB // 16,
    ".md": MIB // 4,
    ".txt": 32 * MIB,
    ".json": 32 * MIB,
    ".parquet": 512 * MIB,
    ".run": 2 << 30,
    ".qrels": 64 * MIB,
    ".safetensors": MOST_BYTES,
    ".model": 64 * MIB,
    ".vocab": 64 * MIB,
    ".bpe": 64 * MIB,
    ".spm": 64 * MIB,
}
"""Bytes of one file, by the ending of its name. A file with another ending has no place in a submission."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,119}")
_MOST_NESTING = 40


@dataclass(frozen=True)
class File:
    """One file of a submission.

    Attributes:
        path: on disk.
        name: relative to the submission's folder, with `/`.
        size: bytes.
    """

    path: Path
    name: str
    size: int


def inventory(folder: Path) -> tuple[list[File], list[str]]:
    """What is in a submission's folder, and what must not be there.

    Nothing is opened, and no link is followed. Python's caches (`__pycache__`) are code like any other and are refused.

    Returns:
        The files that may be read, by name; and a line for each that may not: a link, a device, a name that is not
        plain, an ending that is not in `LIMITS`, one that is too large, too many, too deep.
    """
    files: list[File] = []
    refused: list[str] = []
    total = 0
    for found, name, depth in _walk(folder):
        if len(files) + len(refused) >= MOST_FILES:
            refused.append(f"{folder.name}: more than {MOST_FILES:,} files; the rest was not looked at")
            break
        reason, size = _refusal(found, depth)
        total += size
        if reason is None and total > MOST_BYTES:
            reason = f"all files together are larger than {_size(MOST_BYTES)}"
        if reason is not None:
            refused.append(f"{printable(name)}: {reason}")
        else:
            files.append(File(Path(found.path), name, size))
    return sorted(files, key=lambda file: file.name), refused


def _walk(folder: Path) -> Iterator[tuple[os.DirEntry[str], str, int]]:
    """Everything below a folder that is not itself a plain folder within the depth."""
    waiting = [(str(folder), "", 1)]
    while waiting:
        place, prefix, depth = waiting.pop()
        with os.scandir(place) as entries:
            for entry in sorted(entries, key=lambda found: found.name):
                name = f"{prefix}{entry.name}"
                plain = _NAME.fullmatch(entry.name) and entry.name != "__pycache__"
                if entry.is_dir(follow_symlinks=False) and depth < MOST_DEPTH and plain:
                    waiting.append((entry.path, f"{name}/", depth + 1))
                else:
                    yield entry, name, depth


def _refusal(entry: os.DirEntry[str], depth: int) -> tuple[str | None, int]:
    """Why an entry may not be there, or None; and its size."""
    facts = entry.stat(follow_symlinks=False)
    ending = Path(entry.name).suffix.lower()
    reason = None
    if stat.S_ISLNK(facts.st_mode):
        reason = "a link; put the file itself here"
    elif stat.S_ISDIR(facts.st_mode):
        reason = f"a folder deeper than {MOST_DEPTH}" if depth >= MOST_DEPTH else "a folder whose name is not plain"
    elif not stat.S_ISREG(facts.st_mode):
        reason = "neither a file nor a folder"
    elif not _NAME.fullmatch(entry.name):
        reason = "a name is of letters, digits and . _ + -, and begins with a letter or a digit"
    elif ending not in LIMITS:
        reason = f"files that end in {ending or 'nothing'} have no place here; there may be {' '.join(LIMITS)}"
    elif facts.st_size > LIMITS[ending]:
        reason = f"{_size(facts.st_size)}; a file that ends in {ending} may have {_size(LIMITS[ending])}"
    return reason, 0 if reason else facts.st_size


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """The content of a plain file.

    Args:
        path: its name decides how large it may be.
        limit: bytes, where the name should not decide.

    Raises:
        InputError: a link, not a plain file, too large, or not readable.
    """
    most = limit if limit is not None else LIMITS.get(path.suffix.lower(), MIB)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read ({error.strerror})") from None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise InputError(f"{printable(path)}: not a plain file")
        if facts.st_size > most:
            raise InputError(f"{printable(path)}: {_size(facts.st_size)}; {_size(most)} is the most that is read")
        return file.read(most)


def read_text(path: Path) -> str:
    """A text file.

    Raises:
        InputError: as `read_bytes`, or not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{printable(path)}: not UTF-8 text (byte {error.start})") from None


def parse_json(content: bytes, where: Path | str, *, as_it_is: bool = False) -> Any:  # noqa: ANN401 (JSON is anything)
    """A JSON document, nested at most 40 deep, without NaN and infinite numbers, also overflowing ones such as 1e999.

    Args:
        content: at most what `read_bytes` gives.
        where: what to call it in a message.
        as_it_is: let such numbers pass, for a reader that looks at few of them and checks those; nesting is then
            bounded by the parser, at 200.

    Raises:
        InputError: it is not such a document.
    """
    try:
        document = from_json(content, allow_inf_nan=as_it_is)
    except ValueError as error:
        raise InputError(f"{printable(where)}: not JSON that is read here ({error})") from None
    if not as_it_is:
        _check_values(document, printable(where))
    return document


def parse_yaml(text: str, where: Path | str) -> Any:  # noqa: ANN401 (YAML is anything)
    """A YAML document as `yaml_files.parse_yaml` reads it, without anchors and aliases: a manifest has no use for them.

    Raises:
        InputError: it is not such a document; the message has the line.
    """
    try:
        return yaml_files.parse_yaml(text, printable(where), aliases=False)
    except InputError as error:
        raise InputError(printable(error, 500)) from None


def _check_values(document: object, where: str) -> None:
    """Depth and numbers of a parsed document, without recursion."""
    waiting: list[tuple[object, int]] = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _MOST_NESTING:
            raise InputError(f"{where}: nested deeper than {_MOST_NESTING}")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{where}: a number that is NaN or infinite")
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for part in value.values()]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def _size(size: int) -> str:
    for unit, bytes_ in (("GiB", 1 << 30), ("MiB", MIB), ("KiB", 1 << 10)):
        if size >= bytes_:
            return f"{size / bytes_:,.1f} {unit}"
    return f"{size} bytes"
