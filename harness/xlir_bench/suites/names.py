"""Names of files and addresses in a declaration that anybody may have written: checked before they are used.

A name is a path below the suite's folder, and in some fields a template: `{language}` stands for a language's name,
`{split}` for the split, `{file}` in an address for a file's name. They are replaced as text, once, and nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

RECORD = "fetched.json"
"""In a folder of fetched files: the hash of each at its first fetch."""

UNFINISHED = (".partial", ".partial.json")
"""Endings of the files that a download keeps beside its target."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MOST_OF_NAME, _MOST_OF_PART, _MOST_OF_ADDRESS = 1000, 200, 2000


def checked_name(name: str, placeholders: Sequence[str] = ()) -> str:
    """A name of a file below a folder, or a template of such names.

    Args:
        name: what was declared.
        placeholders: what may stand in braces.

    Raises:
        ValueError: it leads elsewhere, has characters that names of files have not, is a name that `suites fetch`
            uses itself, is too long, or has another placeholder; pydantic adds the field's place.
    """
    plain = _without_placeholders(name, placeholders)
    parts = plain.split("/")
    if plain.startswith("/") or "\\" in plain or ":" in plain:
        raise ValueError(f"{_shown(name)} must be a path below the suite's folder: no /, drive or address before it")
    if not plain.isprintable():
        raise ValueError(f"{_shown(name)} has a character that is not printable")
    for part in parts:
        if not part or part.startswith("."):
            raise ValueError(f"{_shown(name)}: no part of a name may be empty or begin with a dot, as .. does")
        if part != part.strip() or part.endswith("."):
            raise ValueError(f"{_shown(name)}: no part of a name may end with a dot, or begin or end with a space")
    if max(len(part.encode()) for part in parts) > _MOST_OF_PART or len(plain.encode()) > _MOST_OF_NAME:
        raise ValueError(
            f"{_shown(name)} is too long: {_MOST_OF_PART} bytes between two slashes, {_MOST_OF_NAME} in all"
        )
    if plain.lower() == RECORD or plain.lower().endswith(UNFINISHED):
        raise ValueError(f"{_shown(name)} is a name that `suites fetch` uses itself")
    return name


def checked_part(name: str) -> str:
    """A name that is one part of a path, such as a split's.

    Raises:
        ValueError: see `checked_name`; or it has a slash.
    """
    if "/" in name:
        raise ValueError(f"{_shown(name)} must be one part of a file's name, without a slash")
    return checked_name(name)


def checked_address(url: str, placeholders: Sequence[str] = ()) -> str:
    """An address on the web, or a template of such addresses.

    Raises:
        ValueError: it is none, is neither http nor https, is too long, or has another placeholder.
    """
    plain = _without_placeholders(url, placeholders)
    if not plain.isprintable() or len(url) > _MOST_OF_ADDRESS:
        raise ValueError(f"{_shown(url)}: not printable, or longer than {_MOST_OF_ADDRESS:,} characters")
    try:
        machine = urlsplit(plain).hostname
    except ValueError:
        machine = None
    if not plain.startswith(("http://", "https://")) or not machine:
        raise ValueError(f"{_shown(url)}: only http and https addresses are read")
    return url


def check_files(names: Iterable[str]) -> None:
    """Check the names that a declaration's templates give.

    Raises:
        ValueError: see `checked_name`; or a name is also the folder of another.
    """
    known = {checked_name(name) for name in names}
    for name in known:
        for end in (at for at, sign in enumerate(name) if sign == "/"):
            if name[:end] in known:
                raise ValueError(f"{_shown(name[:end])} would be a file, and the folder of {_shown(name)}")


def filled(template: str, **values: str) -> str:
    """A template with its placeholders replaced, in one pass: braces in a value stay what they are."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)


def of_each_language(template: str, languages: Sequence[str]) -> str | None:
    """What is wrong with the name of the file that each of some languages has; None where nothing is."""
    if len(languages) < 2 or "{language}" in template:
        return None
    return f"`file` names {_shown(template)} for each of {' '.join(languages)}: put {{language}} into it"


def _without_placeholders(template: str, known: Sequence[str]) -> str:
    """The template with a letter for each placeholder.

    Raises:
        ValueError: it has another placeholder, or a single brace.
    """
    plain = filled(template, **dict.fromkeys(known, "x"))
    if "{" in plain or "}" in plain:
        allowed = " and ".join(f"{{{name}}}" for name in known) or "no placeholder"
        found = _PLACEHOLDER.search(plain)
        what = f"the unknown placeholder {_shown(found[0])}" if found else "a single brace"
        raise ValueError(f"{_shown(template)} has {what}; it may have {allowed}")
    return plain


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:79]}…")


def _library_name(name: str) -> str:
    if not name.isprintable() or len(name) > _MOST_OF_PART:
        raise ValueError(f"{_shown(name)}: not printable, or longer than {_MOST_OF_PART} characters")
    return name


FileName = Annotated[str, AfterValidator(checked_name)]
Part = Annotated[str, AfterValidator(checked_part)]
Beginning = Annotated[str, AfterValidator(lambda begin: checked_name(f"{begin}x")[:-1])]
"""What a file's name may begin with."""

FolderName = Annotated[str, AfterValidator(lambda name: name and checked_name(name))]
"""A name below the suite's folder, or "" for that folder itself."""

OfLanguage = Annotated[str, AfterValidator(lambda name: checked_name(name, ("language",)))]
FolderOfLanguage = Annotated[str, AfterValidator(lambda name: name and checked_name(name, ("language",)))]
OfSplit = Annotated[str, AfterValidator(lambda name: checked_name(name, ("split", "language")))]
Address = Annotated[str, AfterValidator(checked_address)]
AddressOfFile = Annotated[str, AfterValidator(lambda url: checked_address(url, ("file",)))]
LibraryName = Annotated[str, AfterValidator(_library_name)]
"""What a library calls its data: never a path, looked up in the library's own list."""
