"""What a loaded collection holds, language by language, beside what was published of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from xlir_bench.collection import Collection, LanguageSpan, Texts
from xlir_bench.languages import known
from xlir_bench.suites.schema import Expectation, Suite
from xlir_bench.suites.stored import StoredColumn

if TYPE_CHECKING:
    import regex

_SAMPLE = 2000
_LEAST_SHARE = 0.5
# ISO 15924 codes that stand for several of Unicode's scripts; every other code is Unicode's own short name.
_SCRIPTS = {
    "Hans": ("Hani", "Bopo"), "Hant": ("Hani", "Bopo"), "Jpan": ("Hani", "Hira", "Kana"), "Kore": ("Hang", "Hani"),
}  # fmt: skip


@dataclass(frozen=True)
class LanguageCheck:
    """What a suite holds in one language, beside what was published.

    Attributes:
        language: code.
        queries, documents, judgements: how many there are; a judgement counts where query and document are in it.
        judged: how many of the queries have a relevant document in this language.
        expected_queries, expected_documents, expected_judgements: as published; None where nothing was.
        empty: documents without a text.
        script_share: of the letters of its texts, how many are of the language's script, 0 to 1, over an even sample of
            2,000 queries and 2,000 documents; None where the script is not known or there are no letters.
    """

    language: str
    queries: int
    documents: int
    judgements: int
    judged: int
    expected_queries: int | None
    expected_documents: int | None
    expected_judgements: int | None
    empty: int
    script_share: float | None

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
        if row is not None and self.script_share is not None and self.script_share < _LEAST_SHARE:
            found.append(f"{self.script_share:.0%} of the letters are {row.script}")
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
        of_code = within & (asked_in == number[code])
        rows.append(
            LanguageCheck(
                code,
                queries.sizes.get(code, 0),
                documents.sizes.get(code, 0),
                int(of_code.sum()),
                len(np.unique(judgements.query[of_code & (judgements.gain > 0)])),
                Expectation.count(expect.queries, code),
                Expectation.count(expect.documents, code),
                Expectation.count(expect.judgements, code),
                sum(_empty(documents.texts[run.start : run.stop]) for run in _spans(documents, code)),
                script_share(code, [*_sample(queries, code), *_sample(documents, code)]),
            )
        )
    return rows


def script_share(code: str, texts: Sequence[str]) -> float | None:
    """Of the letters of some texts, how many are of the script that the language is written in.

    Returns:
        0 to 1; None where the language's script is not known, or there are no letters.
    """
    row = known(code)
    if row is None:
        return None
    letters, own = _patterns(row.script)
    written = total = 0
    for text in texts:
        total += len(letters.findall(text))
        written += len(own.findall(text))
    return written / total if total else None


@cache
def _patterns(script: str) -> tuple[regex.Pattern[str], regex.Pattern[str]]:
    import regex

    scripts = "".join(rf"\p{{Script={name}}}" for name in _SCRIPTS.get(script, (script,)))
    return regex.compile(r"\p{L}"), regex.compile(rf"[{scripts}&&\p{{L}}]", regex.V1)


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


def _sample(side: Texts, code: str) -> list[str]:
    """Texts of a language, evenly spread over its rows."""
    runs = _spans(side, code)
    step = max(1, sum(run.stop - run.start for run in runs) // _SAMPLE)
    return [side.texts[row] for run in runs for row in range(run.start, run.stop, step)]
