"""Which machine translations are kept: by length, by script, and by the signs of a model that has lost the thread.

The judge sees a text, its translation and the two languages, nothing else, so that a verdict never depends on what was
translated beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from xlir_bench.languages import known
from xlir_bench.suites.script import script_share

Fault = Literal["empty", "unfinished", "copy", "script", "length", "loop"]
"""Why a translation is refused."""

# Code points that say what one code point of English says: medians over FLORES (1,012 sentences per language). In every
# other language measured, of 21, the median is between .87 and 1.19.
_DENSITY = {"Hans": 0.31, "Hant": 0.31, "Jpan": 0.44, "Kore": 0.5}
_WORD = re.compile(r"\w+")
_LOOP = re.compile(r"(.{1,60}?)\1{3,}", re.DOTALL)
_SHORTEST_LOOP = 8
_WORDS_TO_COMPARE = 5


@dataclass(frozen=True, slots=True)
class Quality:
    """The bounds of what is kept.

    Attributes:
        ratio: a translation is at most so many times longer or shorter than its text, both measured in code points of
            English, beyond `slack`.
        slack: code points of English that a translation may always be longer or shorter: a word may need three.
        script: least share of a translation's letters that are of the language's script.
        copied: of a translation of five words or more, the share that may stand in the text as well.
    """

    ratio: float = 2.5
    slack: float = 15.0
    script: float = 0.5
    copied: float = 0.8


def fault(text: str, translation: str, source: str, target: str, quality: Quality) -> Fault | None:
    """Why a translation is refused; None where it is kept.

    Args:
        text: what was translated.
        translation: what came out.
        source: the text's language.
        target: the translation's language.
        quality: the bounds.

    Returns:
        "empty": there is nothing. "copy": it is the text again, or nearly all of its words are the text's. "script":
        its letters are not the language's. "length": it is far too long or too short. "loop": some piece of it stands
        four times in a row, and the text has no such piece. A text without letters, such as a number, may be its own
        translation.
    """
    if not translation.strip():
        return "empty"
    if any(letter.isalpha() for letter in text) and _is_copy(text, translation, quality):
        return "copy"
    share = script_share(target, [translation])
    if share is not None and share < quality.script:
        return "script"
    if loops(translation) and not loops(text):
        return "loop"
    given, made = _english_size(text, source), _english_size(translation, target)
    if max(given, made) > quality.ratio * min(given, made) + quality.slack:
        return "length"
    return None


def loops(text: str) -> bool:
    """Whether a piece of up to 60 code points, with a letter in it, stands four times in a row."""
    return any(
        len(match[0]) >= _SHORTEST_LOOP and any(letter.isalpha() for letter in match[1])
        for match in _LOOP.finditer(text)
    )


def _is_copy(text: str, translation: str, quality: Quality) -> bool:
    given, made = (_WORD.findall(side.casefold()) for side in (text, translation))
    if given == made:
        return True
    known = set(given)
    return len(made) >= _WORDS_TO_COMPARE and sum(word in known for word in made) > quality.copied * len(made)


def _english_size(text: str, code: str) -> float:
    row = known(code)
    return len(text.strip()) / _DENSITY.get(row.script if row is not None else "", 1.0)
