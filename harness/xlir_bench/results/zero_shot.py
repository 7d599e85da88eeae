"""Whether an encoder has seen a suite before: from what it says that it was trained on, and from an audit of that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xlir_bench.results.schema import ModelReference, SuiteReference

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


Status = Literal["zero-shot", "not zero-shot", "unknown"]
Basis = Literal["audited", "partly audited", "declared", "none"]


@dataclass(frozen=True)
class ZeroShot:
    """What declaration and audit say about one suite.

    Attributes:
        holds: True if nothing that was named is of the suite's family and no audit found a leak; False if something is,
            or one did; None if nothing was declared.
        because: the names that are of the family, or what the audit found.
        audited: whether an audit of the training data against these very texts takes part in it.
        unaudited: names of training data that no audit has read, of which there is the declaration only.
    """

    holds: bool | None
    because: tuple[str, ...] = ()
    audited: bool = False
    unaudited: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """In words."""
        return {True: "zero-shot", False: "not zero-shot", None: "unknown"}[self.holds]  # type: ignore[return-value]

    @property
    def basis(self) -> Basis:
        """What the status rests on."""
        if self.audited:
            return "partly audited" if self.unaudited else "audited"
        return "none" if self.holds is None else "declared"


def zero_shot(
    trained_on: Sequence[str] | None,
    suite: str,
    audit: Mapping[str, Any] | None = None,
    unaudited: Sequence[str] = (),
) -> ZeroShot:
    """Whether an encoder that was trained on these collections is zero-shot on a suite.

    Names are compared without case, punctuation and the words that mteb puts around a name (`Retrieval`,
    `HardNegatives`, `Nano`, a language). The training part of a collection counts as much as its test part: an encoder
    that was trained on MIRACL's training set is not zero-shot on MIRACL's dev set.

    A declaration is a claim; an audit tests it on the texts. A leak outweighs any declaration. The other way round a
    clean audit speaks of the data that it was given and of nothing else, so that without a declaration of what else
    there was (a base model's data) the status stays unknown.

    Args:
        trained_on: names of collections; None if nothing was declared, which is not the same as none.
        suite: a suite's name, or one of mteb's tasks.
        audit: the summary of an audit against this suite (`audit_of`); None where there is none.
        unaudited: which of the names stand for texts that the audit was not given, such as a teacher's or a base
            model's.
    """
    leaked = sum(audit["leaked"].values()) if audit else 0
    if leaked:
        return ZeroShot(False, (f"{leaked:,} of its texts stand in the training data",), audited=True)
    if trained_on is None:
        return ZeroShot(None)
    family = _family(suite)
    because = tuple(name for name in trained_on if _family(name) == family)
    audited = audit is not None and not because
    return ZeroShot(not because, because, audited, tuple(unaudited) if audited else ())


def zero_shot_on(model: ModelReference, suite: SuiteReference) -> ZeroShot:
    """What a result's model declares and had audited about a result's suite.

    Details may come from a stranger: what has not the shape of a declaration or an audit is taken as absent.
    """
    unaudited = names_in(model.details, "unaudited") or ()
    return zero_shot(names_in(model.details, "trained_on"), suite.name, audit_of(model.details, suite), unaudited)


def names_in(details: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """Names that a model's details list under a key; None where there is no list."""
    found = details.get(key)
    return tuple(str(name) for name in found) if isinstance(found, list | tuple) else None


def audit_of(details: Mapping[str, Any], suite: SuiteReference) -> Mapping[str, Any] | None:
    """The summary, among a model's details, of an audit of both sides of a suite's very data; the last, of several.

    An audit of the whole suite serves a result on some of its languages, with the leaks of those languages.
    """
    found = None
    audits = details.get("audits")
    for audit in audits if isinstance(audits, list | tuple) else ():
        try:
            same = (audit["suite"], audit["version"]) == (suite.name, suite.version)
            part = set(suite.languages) < set(audit["languages"])
            same &= part or audit["fingerprint"] == suite.fingerprint
            leaked = {code: int(audit["leaked"][code]) for code in suite.languages}
            if same and {"query", "document"} <= set(audit["sides"]) and min(leaked.values()) >= 0:
                found = {**audit, "leaked": leaked}
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _family(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    while (cut := _AROUND.sub("", plain)) != plain and cut:
        plain = cut
    return next((family for family, members in _FAMILIES if plain in members), plain)
