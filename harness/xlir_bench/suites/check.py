"""What a loaded collection holds, language by language, beside what was published of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xlir_bench.collection import Collection, LanguageSpan, Texts
from xlir_bench.errors import InputError
from xlir_bench.languages import known
from xlir_bench.suites.schema import Expectation, Suite
from xlir_bench.suites.script import LEAST_SHARE, share_of_side
from xlir_bench.suites.stored import StoredColumn

_SAMPLE = 2000
_NAMED = 3


@dataclass(frozen=True)
class LanguageCounts:
    """How much a suite holds in one language, beside what was published.

    Attributes:
        language: code.
        queries, documents, judgements: how many there are; a judgement counts where query and document are in it, and
            in any language of documents where none is in this.
        expected_queries, expected_documents, expected_judgements: as published; None where nothing was.
    """

    language: str
    queries: int
    documents: int
    judgements: int
    expected_queries: int | None
    expected_documents: int | None
    expected_judgements: int | None

    @property
    def unexpected(self) -> tuple[str, ...]:
        """The counts that are not the published ones, each in a few words."""
        return tuple(
            f"{getattr(self, kind):,} {kind}, published {expected:,}"
            for kind in ("queries", "documents", "judgements")
            if (expected := getattr(self, f"expected_{kind}")) not in (None, getattr(self, kind))
        )

    @property
    def stated(self) -> bool:
        """Whether any count was published."""
        return not (self.expected_queries is self.expected_documents is self.expected_judgements is None)


@dataclass(frozen=True)
class LanguageCheck(LanguageCounts):
    """What a suite holds in one language, beside what was published.

    Attributes:
        judged: how many of the queries have a relevant document among these judgements.
        unanswered: how many of the queries are judged and have no relevant document in any language.
        empty: documents without a text.
        query_script_share, document_script_share: of the letters of its queries and of its documents, how many are of
            the language's script, 0 to 1, over an even sample of 2,000; None where the script is not known or there
            are no letters.
    """

    judged: int
    unanswered: int
    empty: int
    query_script_share: float | None
    document_script_share: float | None

    @property
    def holds(self) -> bool:
        """Whether the counts are the published ones and the texts are written in the language's script."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not as it should be, each in a few words."""
        found = list(self.unexpected)
        row = known(self.language)
        for kind, share in (("queries", self.query_script_share), ("documents", self.document_script_share)):
            if row is not None and share is not None and share < LEAST_SHARE:
                found.append(f"{share:.0%} of the letters of its {kind} are {row.script}")
        return tuple(found)


def check(suite: Suite, collection: Collection, asked: Sequence[str] | None = None) -> list[LanguageCheck]:
    """Count a loaded collection, language by language, in the suite's order.

    Args:
        suite: what was loaded.
        collection: all of its languages or a part of them.
        asked: the languages that were to be loaded; by default those that the collection has.
    """
    judged_at, language_of = _judged(collection)
    queries, documents = collection.queries, collection.documents
    unanswered = _languages_of(queries, collection.unanswered)
    return [
        LanguageCheck(
            **asdict(counts),
            judged=len(np.unique(judged_at[(language_of == counts.language) & collection.relevant])),
            unanswered=int((unanswered == counts.language).sum()),
            empty=sum(_empty(documents.texts[run.start : run.stop]) for run in _spans(documents, counts.language)),
            query_script_share=share_of_side(queries, counts.language, _SAMPLE),
            document_script_share=share_of_side(documents, counts.language, _SAMPLE),
        )
        for counts in count(suite, collection, asked)
    ]


def count(suite: Suite, collection: Collection, asked: Sequence[str] | None = None) -> list[LanguageCounts]:
    """The counts of a loaded collection, language by language, in the suite's order; see `check`.

    Of a part of the languages the published counts are stated only if they do not depend on the other languages.
    """
    asked = collection.languages if asked is None else asked
    source, expect = suite.source, suite.expect
    if set(asked) != set(suite.languages) and expect != Expectation() and not source.independent(suite.languages):
        expect = Expectation()
    with_queries, with_documents = source.sides(suite.languages)
    _, language_of = _judged(collection)
    rows = []
    for code in dict.fromkeys((*suite.languages, *collection.languages)):
        row = LanguageCounts(
            code,
            collection.queries.sizes.get(code, 0),
            collection.documents.sizes.get(code, 0),
            int((language_of == code).sum()),
            Expectation.count(expect.queries, code, with_queries),
            Expectation.count(expect.documents, code, with_documents),
            Expectation.count(expect.judgements, code, with_queries),
        )
        if code in collection.languages or (code in asked and row.stated):
            rows.append(row)
    return rows


def refuse_unexpected(suite: Suite, collection: Collection, asked: Sequence[str], where: str) -> None:
    """Refuse a collection that is not the one that the suite's declaration expects.

    Args:
        suite: what was loaded.
        collection: all of its languages or a part of them.
        asked: the languages that were to be loaded.
        where: what to call it in the message.

    Raises:
        InputError: a count is not the published one, or, of all languages, the fingerprint.
    """
    if suite.expect == Expectation():
        return
    wrong = [f"{row.language}: {what}" for row in count(suite, collection, asked) for what in row.unexpected]
    expected = expected_fingerprint(suite, asked)
    if not wrong and expected not in (None, collection.fingerprint):
        wrong = [f"the fingerprint is not {str(expected)[:12]}..., so that texts or ids differ"]
    if wrong:
        more = f" (and {len(wrong) - _NAMED} more)" if len(wrong) > _NAMED else ""
        raise InputError(
            f"{where}: not the collection that its declaration expects: {'; '.join(wrong[:_NAMED])}{more}. Get the "
            "published files, or declare other data under a name of their own"
        )


def expected_fingerprint(suite: Suite, asked: Sequence[str]) -> str | None:
    """The published fingerprint, which is that of all languages; None where there is none, or for a part of them."""
    return suite.expect.fingerprint if set(asked) == set(suite.languages) else None


def _judged(collection: Collection) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[Any, Any]]:
    """For each judgement its query's row, and the language that it counts in; "" where it counts in none."""
    judgements, documents = collection.judgements, collection.documents
    asked_in = _languages_of(collection.queries, judgements.query)
    counts = asked_in == _languages_of(documents, judgements.document)
    counts |= ~np.isin(asked_in, list(documents.sizes))
    return judgements.query, np.where(counts, asked_in, "")


def _languages_of(side: Texts, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.str_]]:
    """The language of some texts of a side."""
    starts = np.array([run.start for run in side.spans])
    names = np.array([run.language for run in side.spans], dtype=np.str_)
    return names[np.searchsorted(starts, rows, side="right") - 1] if len(starts) else np.zeros(0, np.str_)


def _spans(side: Texts, code: str) -> list[LanguageSpan]:
    return [run for run in side.spans if run.language == code]


def _empty(texts: Sequence[str]) -> int:
    if isinstance(texts, StoredColumn):
        return texts.empty
    return sum(1 for text in texts if not text.strip())
