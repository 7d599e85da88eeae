"""A collection of one's own: from data frames, a BEIR folder, ir_datasets or mteb."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlir_bench.collection import Collection as TestCollection
from xlir_bench.collection import Judgements, Texts
from xlir_bench.errors import InputError
from xlir_bench.languages import normalise
from xlir_bench.suites import Group, Suite, find, load, look_up
from xlir_bench.suites.memory import MemorySource
from xlir_bench.suites.own import declared_by_folder
from xlir_bench.suites.schema import declare

if TYPE_CHECKING:
    import pandas as pd

_MEASURES = ("nDCG@10", "R@100", "RR@10")
_EXACT = 2**53
"""Up to here every whole number is a float."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "queries": {"id": ("id", "query_id", "qid", "_id"), "text": ("text", "query")},
    "documents": {"id": ("id", "document_id", "doc_id", "docno", "_id"), "text": ("text",)},
    "judgements": {
        "query": ("query_id", "qid"),
        "document": ("document_id", "doc_id", "docno"),
        "gain": ("gain", "relevance", "label"),
    },
}
"""What a column is -> the names that it is found under; the first that is there counts."""


@dataclass(frozen=True)
class Collection:
    """Queries, documents and judgements, with the settings and measures that they are measured by.

    Attributes:
        suite: the declaration that follows from the data.
        languages: codes of the queries' and documents' languages.
    """

    suite: Suite

    @property
    def name(self) -> str:
        """What results call the collection."""
        return self.suite.name

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages of queries and documents."""
        return self.suite.languages

    @property
    def settings(self) -> dict[str, tuple[str, ...]]:
        """Setting -> its measures, the primary one first."""
        return {str(setting): tuple(names) for setting, names in self.suite.settings.items()}

    @staticmethod
    def from_pandas(
        queries: pd.DataFrame,
        documents: pd.DataFrame,
        judgements: pd.DataFrame,
        *,
        name: str = "own",
        language: str | None = None,
    ) -> Collection:
        """From three tables.

        The settings follow from the judged pairs: monolingual where a query is judged with documents in its language,
        cross-lingual where with documents in another, multilingual where documents are in several languages.

        Args:
            queries: `id`, `text`, `language`, and optionally `question`: what the versions of one question in several
                languages share, the unit of all statistics.
            documents: `id`, `text`, `language`, and optionally `title`, which stands before the text with a space
                between, as in BEIR; it may be missing or empty.
            judgements: `query_id`, `document_id`, `gain`; above 0 is relevant, else judged and not relevant. Names
                of ir_datasets and PyTerrier are taken too (`doc_id`, `docno`, `qid`, `relevance`, `label`).
            name: lower case, digits, `.`, `_` and `-`.
            language: a tag of all texts, where the tables have no column `language`.

        Raises:
            InputError: a column is missing, an id occurs twice or is not there, a text is missing or empty, a pair is
                judged twice with different gains, or nothing is relevant.
        """
        import pandas as pd

        if not _NAME.fullmatch(name):
            raise InputError(f"name {name!r}: lower-case letters, digits, '.', '_' and '-' were expected")
        for called, table in (("queries", queries), ("documents", documents), ("judgements", judgements)):
            if not isinstance(table, pd.DataFrame):
                raise InputError(f"{called}: a pandas DataFrame was expected, not {type(table).__name__}")
        asked, questions = _texts(queries, "queries", language)
        pool, _ = _texts(documents, "documents", language)
        held = TestCollection(asked, pool, _judgements(judgements, asked, pool), questions)
        held.validate(f"collection {name}")
        return Collection(_declared(name, held))

    @staticmethod
    def from_beir(path: str | Path) -> Collection:
        """From a BEIR folder, or a folder of BEIR folders named by language; see docs/suites.md.

        Raises:
            InputError: there is no such folder, or it has no such layout.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        return Collection(declared_by_folder(folder).model_copy(update={"named_by_folder": True}))

    @staticmethod
    def from_ir_datasets(dataset: str) -> Collection:
        """From a dataset of ir_datasets by its id, e.g. "miracl/ar/dev".

        Raises:
            InputError: there is no such dataset.
            MissingResourceError: the package is not installed, or the data cannot be had.
        """
        return Collection(find(f"ir_datasets:{dataset}"))

    @staticmethod
    def from_mteb(task: str) -> Collection:
        """From a retrieval task of mteb by its name: "SciFact", "MIRACLRetrieval/sw", "NQ@test".

        Raises:
            InputError: there is no such task, or it has several parts; the message names them.
            MissingResourceError: the data cannot be had.
        """
        found = look_up(f"mteb:{task}")
        if isinstance(found, Group):
            parts = ", ".join(part.removeprefix("mteb:") for part in found.suites[:6])
            raise InputError(f"{task} has {len(found.suites)} parts, each with its own pool: name one of {parts}, ...")
        return Collection(found)

    def load(self, data: str | Path | None = None) -> TestCollection:
        """The texts and judgements as arrays.

        Raises:
            MissingResourceError, InputError: see `suites.load`.
        """
        return load(self.suite, None if data is None else Path(data))


def _texts(table: pd.DataFrame, called: str, language: str | None) -> tuple[Texts, list[str]]:
    """A side of the collection, languages one after the other, and for each text its question, by default its id."""
    ids = _names(table, called, "id")
    texts = _column(table, called, "text")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{called}: row {row}: a text was expected, not {type(text).__name__} {text!r}")
    if called == "documents" and "title" in table.columns:
        texts = [f"{title} {text}".strip() for title, text in zip(_titles(table), texts, strict=True)]
    if "language" in table.columns:
        tags = [str(tag) for tag in _column(table, called, "language")]
    elif language is not None:
        tags = [language] * len(ids)
    else:
        raise InputError(f"{called}: no column `language`: add it, or give language= where all texts are in one")
    codes = {tag: normalise(tag, unknown=True) for tag in dict.fromkeys(tags)}
    questions = _names(table, called, "question") if "question" in table.columns else ids
    # In an order of their own: the same rows in another order are the same collection.
    order = sorted(range(len(ids)), key=lambda row: (codes[tags[row]], ids[row]))
    side = Texts([ids[row] for row in order], [texts[row] for row in order], [codes[tags[row]] for row in order])
    return side, [questions[row] for row in order]


def _judgements(table: pd.DataFrame, queries: Texts, documents: Texts) -> Judgements:
    places = [{name: row for row, name in enumerate(side.ids)} for side in (queries, documents)]
    found: dict[tuple[int, int], float] = {}
    pairs = zip(
        _names(table, "judgements", "query"),
        _names(table, "judgements", "document"),
        _column(table, "judgements", "gain"),
        strict=True,
    )
    for query, document, value in pairs:
        for kind, name, known in zip(("query", "document"), (query, document), places, strict=True):
            if name not in known:
                raise InputError(f"judgements: there is no {kind} {name!r}")
        try:
            gain = float(value)
        except (TypeError, ValueError, OverflowError):
            gain = math.nan
        if not math.isfinite(gain):
            raise InputError(f"judgements: query {query!r} and document {document!r}: gain {value!r} is not a number")
        if found.setdefault((places[0][query], places[1][document]), gain) != gain:
            raise InputError(f"judgements: query {query!r} and document {document!r} have two different gains")
    return Judgements.of((query, document, gain) for (query, document), gain in found.items())


def _names(table: pd.DataFrame, called: str, what: str) -> list[str]:
    """A column of ids: texts, or whole numbers, which become texts.

    Raises:
        InputError: one is something else, or empty.
    """
    found = []
    for row, value in enumerate(_column(table, called, what)):
        # Whole numbers become floats where a column once had a missing value; large ones are then others.
        exact = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT
        if isinstance(value, bool) or not (isinstance(value, str | Integral) or exact) or not str(value).strip():
            raise InputError(f"{called}: row {row}: {value!r} is no id; texts and whole numbers are")
        found.append(str(int(value) if exact else value))
    return found


def _titles(table: pd.DataFrame) -> list[str]:
    """The titles of documents, empty where there is none."""
    column = _series(table, "documents", "title")
    titles = ["" if missing else title for title, missing in zip(column, column.isna(), strict=True)]
    for row, title in enumerate(titles):
        if not isinstance(title, str):
            raise InputError(f"documents: row {row}: a title was expected, not {type(title).__name__} {title!r}")
    return titles


def _column(table: pd.DataFrame, called: str, what: str) -> list[Any]:
    """The values of a column, none of them missing.

    Raises:
        InputError: there is no such column, or a value is missing.
    """
    column = _series(table, called, what)
    if (missing := column.isna()).any():
        raise InputError(f"{called}: column `{column.name}` has no value in row {int(missing.to_numpy().argmax())}")
    values: list[Any] = column.tolist()
    return values


def _series(table: pd.DataFrame, called: str, what: str) -> pd.Series[Any]:
    """A column, under the first of its names that is there.

    Raises:
        InputError: there is none, or there are two of that name.
    """
    known = _COLUMNS[called].get(what, (what,))
    name = next((one for one in known if one in table.columns), None)
    if name is None:
        listed = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"{called}: no column `{known[0]}`; its columns are {listed}")
    column = table[name]
    if column.ndim != 1:
        raise InputError(f"{called}: there are {column.shape[1]} columns `{name}`: keep one")
    return column


def _declared(name: str, held: TestCollection) -> Suite:
    pairs = held.judged_pairs
    measures: list[str] = list(_MEASURES)
    settings: dict[str, Sequence[str]] = {}
    if any(x == y for x, y in pairs):
        settings["monolingual"] = measures
    if any(x != y for x, y in pairs):
        settings["cross-lingual"] = measures
    if len(held.documents.sizes) > 1:
        settings["multilingual"] = [*measures, *(["rank_distance"] if _answered_in_several(held) else [])]
    return declare(
        {
            "name": name,
            "version": 1,
            "title": name,
            "description": "A collection that a program made.",
            "licence": "not stated",
            "citation": "none",
            "languages": list(held.languages),
            "source": MemorySource(reader="memory", held=held),
            "settings": settings,
        }
    )


def _answered_in_several(held: TestCollection) -> bool:
    """Whether a query has relevant documents in several languages, as rank distance needs."""
    languages: dict[int, str] = {}
    rows = held.judgements.document[held.relevant]
    codes = held.documents.languages_at(rows).tolist()
    queries = held.judgements.query[held.relevant].tolist()
    return any(languages.setdefault(query, code) != code for query, code in zip(queries, codes, strict=True))
