"""Which share of some texts is written in a language's own script."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from xlir_bench.collection import Texts
from xlir_bench.languages import known

if TYPE_CHECKING:
    import regex

LEAST_SHARE = 0.5
"""Below this share the texts are taken to be in another language."""

# ISO 15924 codes that stand for several of Unicode's scripts; every other code is Unicode's own short name.
_SCRIPTS = {
    "Hans": ("Hani", "Bopo"), "Hant": ("Hani", "Bopo"), "Jpan": ("Hani", "Hira", "Kana"), "Kore": ("Hang", "Hani"),
}  # fmt: skip


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


def share_of_side(side: Texts, code: str, most: int) -> float | None:
    """`script_share` of an even sample of a side's texts in one language.

    Args:
        side: queries or documents.
        code: the language.
        most: texts in the sample, about.
    """
    spans = [span for span in side.spans if span.language == code]
    step = max(1, sum(span.stop - span.start for span in spans) // most)
    return script_share(code, [side.texts[row] for span in spans for row in range(span.start, span.stop, step)])
