"""What every source of a suite has: files in a folder, named by a pattern, their hashes, and where they come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, MissingResourceError, first_problem
from xlir_bench.languages import distinct
from xlir_bench.suites.names import (
    Address,
    AddressOfFile,
    Beginning,
    FileName,
    FolderName,
    checked_part,
    filled,
)
from xlir_bench.suites.stored import remember_hash

T = TypeVar("T")

Algorithm = Literal["sha256", "md5"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Hash(BaseModel):
    """What a file's bytes must sum up to.

    Attributes:
        algorithm: SHA-256, or MD5 where only that was published: it finds accidents, not attacks.
        value: hexadecimal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: Algorithm
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm.upper().replace('SHA', 'SHA-')} {self.value[:12]}..."


class Archive(BaseModel):
    """A zip or tar file that holds a suite's files.

    Attributes:
        url: where it is.
        root: the folder inside that corresponds to the suite's folder.
        sha256, md5: its hash, where one was published.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Address
    root: FolderName = ""
    sha256: Sha256 | None = None
    md5: Md5 | None = None

    @property
    def pinned(self) -> Hash | None:
        """The published hash, the stronger where there are two."""
        return _pinned(self.sha256, self.md5)


class Source(BaseModel):
    """Base of everything that gives a collection.

    Attributes:
        url: a page that says where it is published; shown to a person who lacks it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    empty_documents: ClassVar[bool] = False
    """Whether collections of this kind, as published, have documents without a text."""

    url: Address | None = None

    def problem(self, languages: Sequence[str]) -> str | None:
        """Why a suite in these languages cannot have this source; None where it can."""
        return None

    def sides(self, languages: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of some languages, those that have queries, and those that have documents: by default all have both."""
        return tuple(languages), tuple(languages)

    def hint_across(self, languages: Sequence[str]) -> str:
        """How a suite in these languages may get judgements across languages; empty where it cannot by a setting."""
        return ""

    def independent(self, languages: Sequence[str]) -> bool:
        """Whether what a suite in these languages has in one of them is the same if the others are not read."""
        return self.sides(languages) == (tuple(languages), tuple(languages))


class FileSource(Source):
    """Base of the sources that read files of one folder.

    Attributes:
        sha256: file name -> SHA-256 of the file as published. A file that is listed must match.
        md5: file name -> MD5, where only that was published.
        download: address of a file, with `{file}` in it; or beginning of a file's name -> such an address.
        archive: the archive that holds the files.
        max_bytes: of each file that is downloaded, the archive included; 64 GiB by default.
        names: code of a language -> what names of files and fields have for it, where that is not the code.
    """

    sha256: dict[FileName, Sha256] = {}
    md5: dict[FileName, Md5] = {}
    download: AddressOfFile | dict[Beginning, AddressOfFile] | None = None
    archive: Archive | None = None
    max_bytes: Annotated[int, Field(ge=1)] | None = None
    names: dict[str, str] = {}

    def called(self, language: str) -> str:
        """What names of files and fields have for a language, e.g. `pt-BR` for `pt`."""
        return self.names.get(language, language)

    def problem(self, languages: Sequence[str]) -> str | None:
        """See `Source.problem`."""
        called: dict[str, str] = {}
        for language in languages:
            other = called.setdefault(self.called(language), language)
            if other != language:
                return f"{other} and {language} are both called {self.called(language)!r} in its files; change `names`"
        return None

    @field_validator("names")
    @classmethod
    def _plain_names(cls, names: dict[str, str]) -> dict[str, str]:
        for name in names.values():
            try:
                checked_part(name)
            except ValueError as error:
                raise ValueError(f"{name!r:.90} cannot be the name of a language in files: {error}") from None
        return dict(zip(codes_of(names, "the table"), names.values(), strict=True))

    @abstractmethod
    def files(self, languages: Sequence[str]) -> list[str]:
        """The names, below the suite's folder, of the files that these languages need."""

    @abstractmethod
    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """The collection in these languages from the files in `folder`.

        Raises:
            MissingResourceError: a file is not there.
            InputError: a file is not what it should be.
        """

    def present(self, folder: Path, name: str) -> Path:
        """The file that is read for a name of `files`: here the one of that name, whether it is there or not.

        Raises:
            InputError: several files could be meant.
        """
        return folder / name

    def pinned(self, name: str) -> Hash | None:
        """The published hash of a file; None where there is none."""
        return _pinned(self.sha256.get(name), self.md5.get(name))

    def address(self, name: str) -> str | None:
        """Where a file can be downloaded by itself; None where it cannot."""
        if not isinstance(self.download, dict):
            return filled(self.download, file=name) if self.download else None
        patterns = (pattern for beginning, pattern in self.download.items() if name.startswith(beginning))
        return next((filled(pattern, file=name) for pattern in patterns), None)

    @property
    def fetchable(self) -> bool:
        """Whether `suites fetch` knows where the files are."""
        return self.download is not None or self.archive is not None

    def require(self, folder: Path, languages: Sequence[str]) -> None:
        """Check that every file is there and is the published one.

        Raises:
            MissingResourceError: a file is not there.
            InputError: a file differs from the published one.
        """
        for name in self.files(languages):
            path = self.present(folder, name)
            if not path.is_file():
                origin = f"; it is published at {self.url}" if self.url else ""
                raise MissingResourceError(f"{path}: no such file{origin}")
            expected = self.pinned(path.relative_to(folder).as_posix())
            if expected is not None:
                check_hash(path, expected)
            elif self.pinned(name) is not None:
                raise InputError(f"{path}: the published hash is that of {name}; get that file")


def codes_of(tags: Iterable[str], where: str, *, unknown: bool = False) -> tuple[str, ...]:
    """`languages.distinct` for a field of a declaration: the codes of some tags, in their order.

    Raises:
        ValueError: one is no language, or two are the same; pydantic adds the field's place.
    """
    try:
        return tuple(distinct(tags, where, unknown=unknown))
    except InputError as error:
        raise ValueError(str(error)) from None


def check_hash(path: Path, expected: Hash, first_of: str | None = None) -> None:
    """Check a file against its hash.

    Args:
        path: the file.
        expected: its hash.
        first_of: the suite whose first fetch gave the hash; None where it was published.

    Raises:
        InputError: it differs.
    """
    found = Hash(algorithm=expected.algorithm, value=remember_hash(path, expected.algorithm))
    if found == expected:
        return
    if first_of is not None:
        raise InputError(f"{path}: has {other_than(found, expected, first_of)}")
    kind, value = str(found).split()
    raise InputError(
        f"{path}: {kind} is {value}, published is {str(expected).split()[1]}: "
        "the file was changed or cut off; get it again"
    )


def other_than(found: Hash, expected: Hash, first_of: str | None) -> str:
    """That a file has another hash than it should have, and why it should, as the object of a sentence.

    Args:
        found: the hash that it has.
        expected: the hash that it should have.
        first_of: see `check_hash`.
    """
    if first_of is None:
        return f"{found}, published is {expected}: the file there was changed or damaged"
    return (
        f"{found}, and had {expected} at the first fetch (no hash of it was published): if the new one is right, "
        f"`xlir-bench suites forget {first_of}` forgets the first"
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
            what = str(problem["ctx"]["error"])
            # "\ud800" without its other half is refused here, and so is one that the end of the file cuts.
            cut = "perhaps half of a surrogate pair, or cut off" if "hex escape" in what else "perhaps cut off"
            raise InputError(f"{path}: not JSON, {cut}: {what}") from None
        raise InputError(f"{path}: not in {called}: {first_problem(error)}") from None


def _pinned(sha256: str | None, md5: str | None) -> Hash | None:
    if sha256 is not None:
        return Hash(algorithm="sha256", value=sha256)
    return Hash(algorithm="md5", value=md5) if md5 is not None else None
