"""Whether an encoder has seen a suite before, derived from what it says that it was trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FAMILIES = (
    ("xquad", ("xquad", "xquadr", "lareqa", "squaddev", "squadvalidation")),
    ("mlqa", ("mlqa", "mlqar")),
    ("miracl", ("miracl", "mrtydi", "mrtidy")),  # many of MIRACL's questions are those of Mr. TyDi
    ("xm3600", ("xm3600", "crossmodal3600")),
    ("dbpedia", ("dbpedia", "dbpediaentity")),
    ("fiqa", ("fiqa", "fiqa2018")),
    ("touche2020", ("touche2020", "webistouche2020")),
    ("trec-covid", ("treccovid",)),
)
_AROUND = re.compile(r"^(?:beir|nano|mteb)|(?:hardnegatives|retrieval|reranking|pl|nl|fa|vn|test|dev)$")


@dataclass(frozen=True)
class ZeroShot:
    """What the declaration says about one suite.

    Attributes:
        holds: True if nothing that it names is of the suite's family, False if something is, None if nothing was
            declared.
        because: the names that are.
    """

    holds: bool | None
    because: tuple[str, ...] = ()


def zero_shot(trained_on: Sequence[str] | None, suite: str) -> ZeroShot:
    """Whether an encoder that was trained on these collections is zero-shot on a suite.

    Names are compared without case, punctuation and the words that mteb puts around a name (`Retrieval`,
    `HardNegatives`, `Nano`, a language). The training part of a collection counts as much as its test part: an encoder
    that was trained on MIRACL's training set is not zero-shot on MIRACL's dev set. A declaration is a claim: only an
    audit of the training texts can tell whether it is true.

    Args:
        trained_on: names of collections; None if nothing was declared, which is not the same as none.
        suite: a suite's name, or one of mteb's tasks.
    """
    if trained_on is None:
        return ZeroShot(None)
    family = _family(suite)
    because = tuple(name for name in trained_on if _family(name) == family)
    return ZeroShot(not because, because)


def _family(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    while (cut := _AROUND.sub("", plain)) != plain and cut:
        plain = cut
    return next((family for family, members in _FAMILIES if plain in members), plain)
