"""From a suite's declaration to its collection: find the folder, check the files, read them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, MissingResourceError, unknown_name
from xlir_bench.files import cache_folder
from xlir_bench.resources import folder
from xlir_bench.suites.library import UNKNOWN_LANGUAGE
from xlir_bench.suites.schema import Suite
from xlir_bench.suites.source import FileSource


def load(suite: Suite, data: Path | None = None, languages: Sequence[str] | None = None) -> Collection:
    """The suite's collection, validated.

    Args:
        suite: what to load.
        data: searched first, as `data/<suite name>/` and as `data/` itself; then the folder named by the environment
            variable XLIR_BENCH_DATA, then where `suites fetch` puts files, then the package. Nothing is downloaded.
        languages: a part of the suite's languages; all by default. Only their files are read. Where the language of a
            suite is not known (`und`), the one code that is given here names it.

    Raises:
        MissingResourceError: the files are nowhere.
        InputError: a language is not the suite's, a file is damaged, or the collection cannot be scored.
    """
    codes = chosen_languages(suite, languages)
    source = suite.source
    if isinstance(source, FileSource):
        place = locate(suite, data, codes)
        source.require(place, codes)
        collection, where = source.read(place, codes), f"suite {suite.name} in {place}"
    else:
        collection, where = source.collection(codes), f"suite {suite.name}"
    collection.validate(where, empty_documents=source.empty_documents)
    return collection


def locate(suite: Suite, data: Path | None, languages: Sequence[str]) -> Path:
    """The folder that holds the suite's files.

    Raises:
        MissingResourceError: no searched folder holds any of them; the message lists the folders.
    """
    source = suite.source
    if not isinstance(source, FileSource):
        raise InputError(f"suite {suite.name}: {source.reader} keeps its files where it likes; there is no folder")
    roots = [Path(root) for root in (data, os.environ.get("XLIR_BENCH_DATA")) if root]
    candidates = [place for root in roots for place in (root / suite.name, root)]
    candidates += [place for place in (suite.place, suite.place and suite.place / suite.name) if place]
    if suite.named_by_folder and suite.place is not None:
        candidates.insert(0, suite.place)
    candidates += [fetched_folder(suite.name), folder("suites") / suite.name]
    names = source.files(languages)
    for place in candidates:
        if any((place / name).is_file() for name in names):
            return place
    looked = ", ".join(str(place) for place in candidates)
    origin = f" They are published at {source.url}." if source.url else ""
    fetch = f"`xlir-bench suites fetch {suite.name}` gets them; or put" if source.fetchable else "Put"
    raise MissingResourceError(
        f"suite {suite.name}: its files ({names[0]}, ...) are in none of {looked}.{origin} "
        f"{fetch} them into DIR/{suite.name}/ and give --data DIR"
    )


def fetched_folder(name: str) -> Path:
    """Where `suites fetch` puts a suite's files."""
    return cache_folder() / "suites" / name


def chosen_languages(suite: Suite, languages: Sequence[str] | None) -> tuple[str, ...]:
    """The suite's languages that are in `languages`, in the suite's order; None chooses all.

    Raises:
        InputError: nothing was chosen, or a language is not the suite's.
    """
    if languages is None:
        return suite.languages
    if not languages:
        raise InputError(f"suite {suite.name}: no language was chosen; it has {' '.join(suite.languages)}")
    if suite.languages == (UNKNOWN_LANGUAGE,) and len(languages) == 1:
        return tuple(languages)
    for code in languages:
        if code not in suite.languages:
            raise unknown_name(
                f"language of suite {suite.name}", code, suite.languages, f"it has {' '.join(suite.languages)}"
            )
    return tuple(code for code in suite.languages if code in set(languages))
