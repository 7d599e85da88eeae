"""What a loaded collection holds, language by language, beside what was published of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xlir_bench.collection import Collection, LanguageSpan, Texts
from xlir_bench.languages import known
from xlir_bench.suites.schema import Expectation, Suite
from xlir_bench.suites.script import LEAST_SHARE, share_of_side
from xlir_bench.suites.stored import StoredColumn

_SAMPLE = 2000


@dataclass(frozen=True)
class LanguageCheck:
    """What a suite holds in one language, beside what was published.

    Attributes:
        language: code.
        queries, documents, judgements: how many there are; a judgement counts where query and document are in it, and
            in any language of documents where none is in this.
        judged: how many of the queries have a relevant document among these judgements.
        unanswered: how many of the queries are judged and have no relevant document in any language.
        expected_queries, expected_documents, expected_judgements: as published; None where nothing was.
        empty: documents without a text.
        query_script_share, document_script_share: of the letters of its queries and of its documents, how many are of
            the language's script, 0 to 1, over an even sample of 2,000; None where the script is not known or there
            are no letters.
    """

    language: str
    queries: int
    documents: int
    judgements: int
    judged: int
    unanswered: int
    expected_queries: int | None
    expected_documents: int | None
    expected_judgements: int | None
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
        found = []
        for kind in ("queries", "documents", "judgements"):
            expected = getattr(self, f"expected_{kind}")
            if expected not in (None, getattr(self, kind)):
                found.append(f"{getattr(self, kind):,} {kind}, published {expected:,}")
        row = known(self.language)
        for kind, share in (("queries", self.query_script_share), ("documents", self.document_script_share)):
            if row is not None and share is not None and share < LEAST_SHARE:
                found.append(f"{share:.0%} of the letters of its {kind} are {row.script}")
        return tuple(found)


def check(suite: Suite, collection: Collection) -> list[LanguageCheck]:
    """Count a loaded collection, language by language, in the suite's order."""
    judgements, queries, documents = collection.judgements, collection.queries, collection.documents
    number = {code: row for row, code in enumerate(collection.languages)}
    asked_in = _codes(queries, number)[judgements.query]
    within = asked_in == _codes(documents, number)[judgements.document]
    expect = suite.expect
    rows = []
    for code in dict.fromkeys((*suite.languages, *number)):
        if code not in number:
            continue
        of_code = (asked_in == number[code]) & (within | (code not in documents.sizes))
        rows.append(
            LanguageCheck(
                code,
                queries.sizes.get(code, 0),
                documents.sizes.get(code, 0),
                int(of_code.sum()),
                len(np.unique(judgements.query[of_code & collection.relevant])),
                int((_codes(queries, number)[collection.unanswered] == number[code]).sum()),
                Expectation.count(expect.queries, code),
                Expectation.count(expect.documents, code),
                Expectation.count(expect.judgements, code),
                sum(_empty(documents.texts[run.start : run.stop]) for run in _spans(documents, code)),
                share_of_side(queries, code, _SAMPLE),
                share_of_side(documents, code, _SAMPLE),
            )
        )
    return rows


def _codes(side: Texts, number: Mapping[str, int]) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    found = np.empty(len(side), dtype=np.int16)
    for run in side.spans:
        found[run.start : run.stop] = number[run.language]
    return found


def _spans(side: Texts, code: str) -> list[LanguageSpan]:
    return [run for run in side.spans if run.language == code]


def _empty(texts: Sequence[str]) -> int:
    if isinstance(texts, StoredColumn):
        return texts.empty
    return sum(1 for text in texts if not text.strip())
