"""What every source of a suite has: files in a folder, named by a pattern, with their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, MissingResourceError, first_problem

T = TypeVar("T")


class FileSource(BaseModel):
    """Base of the sources that read files of one folder.

    Attributes:
        url: where the files are published; shown to a person who lacks them.
        sha256: file name -> SHA-256 of the file as published. A file that is listed must match.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = None
    sha256: dict[str, str] = {}

    def files(self, languages: Sequence[str]) -> list[str]:
        """The names, below the suite's folder, of the files that these languages need."""
        raise NotImplementedError  # pragma: no cover

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """The collection in these languages from the files in `folder`.

        Raises:
            MissingResourceError: a file is not there.
            InputError: a file is not what it should be.
        """
        raise NotImplementedError  # pragma: no cover

    def require(self, folder: Path, languages: Sequence[str]) -> None:
        """Check that every file is there and is the published one.

        Raises:
            MissingResourceError: a file is not there.
            InputError: a file differs from the published one.
        """
        for name in self.files(languages):
            path = folder / name
            if not path.is_file():
                origin = f"; it is published at {self.url}" if self.url else ""
                raise MissingResourceError(f"{path}: no such file{origin}")
            if name in self.sha256:
                found = hashlib.sha256(path.read_bytes()).hexdigest()
                if found != self.sha256[name]:
                    raise InputError(
                        f"{path}: SHA-256 is {found[:12]}..., published is {self.sha256[name][:12]}...: "
                        "the file was changed or cut off; get it again"
                    )


def read_json(path: Path, layout: TypeAdapter[T], called: str) -> T:
    """A JSON file that must have a layout.

    Raises:
        InputError: it is not JSON (cut off, not UTF-8), or not in the layout; the message names the place.
    """
    try:
        return layout.validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        if problem["type"] == "json_invalid":
            raise InputError(f"{path}: not JSON, perhaps cut off: {problem['ctx']['error']}") from None
        raise InputError(f"{path}: not in {called}: {first_problem(error)}") from None
