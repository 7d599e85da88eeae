"""Crossmodal-3600, text to text: captions of one picture in 36 languages (Thapliyal et al. 2022, arXiv 2205.12522)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xlir_bench.collection import Collection, Judgements
from xlir_bench.errors import InputError, at
from xlir_bench.suites.parallel import LanguagePart, linked
from xlir_bench.suites.source import FileSource


class Xm3600Source(FileSource):
    """The file captions.jsonl: a line per picture, with its captions in each language.

    The first caption in a language is both a query and a document. A query's relevant documents are the same picture's
    captions in the other languages; the caption itself is left out of its own ranking, so there is no monolingual
    setting. A picture without a caption in a language is left out there.
    """

    reader: Literal["xm3600"]

    def files(self, languages: Sequence[str]) -> list[str]:
        """See `FileSource.files`."""
        return ["captions.jsonl"]

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """See `FileSource.read`."""
        parts = {language: LanguagePart() for language in languages}
        named = {language: self.called(language) for language in languages}
        path = folder / "captions.jsonl"
        seen: set[str] = set()
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            picture, captions = _captions(line, at(path, number), named)
            if picture in seen:
                raise InputError(f"{at(path, number)}: picture {picture!r} occurs twice; ids must be unique")
            seen.add(picture)
            for language, caption in captions.items():
                part = parts[language]
                query, document = part.add_query(picture, caption), part.add_document(picture, caption)
                part.answers.append((picture, query, document))
        return _without_itself(linked(parts))


def _captions(line: bytes, place: str, named: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A picture's id and its first caption in each language that has one; `named` is what the line calls a language."""
    try:
        record: Any = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
        picture = record["image/key"]
        lists = {language: record[name]["caption"] for language, name in named.items() if name in record}
    except ValueError as error:
        raise InputError(f"{place}: not JSON: {error}") from None
    except (KeyError, TypeError):
        raise InputError(f'{place}: expected a picture with "image/key" and, per language, "caption"') from None
    first: dict[str, str] = {}
    for language, captions in lists.items():
        if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
            raise InputError(f"{place}: the captions in {language} are not a list of strings")
        spoken = [caption.strip() for caption in captions if caption.strip()]
        if spoken:
            first[language] = spoken[0]
    if not isinstance(picture, str):
        raise InputError(f'{place}: "image/key" is not a string')
    return picture, first


def _without_itself(collection: Collection) -> Collection:
    """Queries and documents are the same texts in the same rows: row q of one is row q of the other."""
    judged = collection.judgements
    other = judged.query != judged.document
    rows = np.arange(len(collection.queries), dtype=np.int64)
    return replace(
        collection,
        judgements=Judgements(judged.query[other], judged.document[other], judged.gain[other]),
        excluded=Judgements(rows, rows, np.zeros(len(rows))),
    )
