"""What a result answers: data, settings and measures; which of several results is the fullest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from xlir_bench.collection import SETTINGS, Setting
from xlir_bench.results.schema import Result, SuiteReference

_Value = TypeVar("_Value")

_MOST_LISTED = 4
"""Languages that the name of a file lists; of more it says the number."""


@dataclass(frozen=True)
class Question:
    """What is asked of a model.

    Attributes:
        suite: the data, which the languages are a part of.
        settings: setting -> names of measures.
    """

    suite: SuiteReference
    settings: Mapping[str, frozenset[str]]

    @staticmethod
    def of(result: Result) -> Question:
        """What a result answers."""
        found: dict[str, set[str]] = {}
        for score in result.scores:
            found.setdefault(score.setting, set()).add(score.measure)
        return Question(result.suite, {setting: frozenset(names) for setting, names in found.items()})

    @staticmethod
    def asked(suite: SuiteReference, settings: Mapping[Setting, Collection[str]]) -> Question:
        """What settings with their measures ask of some data."""
        return Question(suite, {setting: frozenset(names) for setting, names in settings.items()})

    @property
    def figures(self) -> int:
        """The number of measures, each counted in every setting."""
        return sum(map(len, self.settings.values()))

    @property
    def across_languages(self) -> bool:
        """Whether a query searches documents of other languages than its own."""
        return any(setting != "monolingual" for setting in self.settings)

    def covers(self, other: Question) -> bool:
        """Whether this asks all that `other` does, of the same data."""
        return self.suite == other.suite and all(
            names <= self.settings.get(setting, frozenset()) for setting, names in other.settings.items()
        )

    def file_name(self) -> str:
        """A name without ending for the file of a result beside a fuller one, e.g. `xlir-mini-de-en-0a1b2c3d`.

        It is the same for the same question on every machine: languages, settings if not all, and digits of a hash
        over all that tells questions apart. Letters are lower case, for file systems that do not tell cases apart.
        """
        codes = self.suite.languages
        languages = codes if len(codes) <= _MOST_LISTED else (f"{len(codes)}-languages",)
        settings = () if len(self.settings) == len(SETTINGS) else tuple(s for s in SETTINGS if s in self.settings)
        words = re.sub(r"[^a-z0-9-]+", "-", "-".join((*languages, *settings)).lower())[:80]
        measures = {setting: sorted(names) for setting, names in sorted(self.settings.items())}
        identity = json.dumps([self.suite.model_dump(), measures]).encode()
        return f"{self.suite.name}-{words}-{hashlib.sha256(identity).hexdigest()[:8]}"

    def in_words(self) -> str:
        """Languages, settings and measures, e.g. `de en, monolingual: AP R@1`; settings of equal measures together."""
        together: dict[frozenset[str], list[str]] = {}
        for setting, names in self.settings.items():
            together.setdefault(names, []).append(setting)
        said = "; ".join(f"{' '.join(settings)}: {' '.join(sorted(names))}" for names, settings in together.items())
        return f"{' '.join(self.suite.languages)}, {said}"


def is_as_full(one: Result, other: Result) -> bool:
    """Whether a result on a suite is at least as full as another: it has as many languages, texts and figures.

    Of the same data the number of figures decides; of other data of the version that of languages, then of documents
    and queries. Results on several versions of a suite are equally full.
    """
    if one.suite.version != other.suite.version:
        return True
    if one.suite == other.suite:
        return Question.of(one).figures >= Question.of(other).figures
    return _extent(one) >= _extent(other)


def selected(result: Result, settings: Mapping[Setting, Collection[str]]) -> Result:
    """A part of a result on the same data: only these measures of these settings, the first of each primary.

    The figures are those that a run with this selection gives, if it searches across languages where the result's did.
    """
    order: dict[tuple[str, str], tuple[int, int]] = {
        (setting, name): (row, column)
        for row, (setting, names) in enumerate(settings.items())
        for column, name in enumerate(names)
    }
    rows: dict[tuple[str, str, str], int] = {}
    for score in result.scores:
        rows.setdefault((score.setting, score.query_language, score.document_language), len(rows))
    kept = [score for score in result.scores if (score.setting, score.measure) in order]
    kept.sort(
        key=lambda score: (
            order[score.setting, score.measure][0],
            rows[score.setting, score.query_language, score.document_language],
            order[score.setting, score.measure][1],
        )
    )
    summary = _part(result.summary, settings)
    return result.model_copy(
        update={
            "scores": tuple(kept),
            "summary": summary,
            "intervals": None if result.intervals is None else _part(result.intervals, settings),
            "primary": {setting: next(iter(values)) for setting, values in summary.items()},
        }
    )


def _part(
    values: Mapping[str, Mapping[str, _Value]], settings: Mapping[Setting, Collection[str]]
) -> dict[str, dict[str, _Value]]:
    found = {
        setting: {name: values[setting][name] for name in names if name in values.get(setting, {})}
        for setting, names in settings.items()
    }
    return {setting: part for setting, part in found.items() if part}


def _extent(result: Result) -> tuple[int, int, int, int]:
    """Numbers of languages, documents, queries and figures."""
    pool = max((score.documents for score in result.scores if score.document_language == "*"), default=0)
    documents: dict[str, int] = {}
    queries: dict[str, int] = {}
    for score in result.scores:
        documents[score.document_language] = max(score.documents, documents.get(score.document_language, 0))
        queries[score.query_language] = max(score.queries, queries.get(score.query_language, 0))
    return (
        len(result.suite.languages),
        pool or sum(documents.values()),
        sum(queries.values()),
        Question.of(result).figures,
    )
