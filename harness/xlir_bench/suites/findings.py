"""What is remarkable in a loaded collection: faults, and what whoever reads its figures has to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from xlir_bench.collection import Collection, Texts
from xlir_bench.errors import InputError
from xlir_bench.languages import LANGUAGES
from xlir_bench.measures import Gains, parse
from xlir_bench.suites.schema import Suite
from xlir_bench.suites.script import LEAST_SHARE, share_of_side
from xlir_bench.suites.stored import positions_of

_MOST_COMPARED = 1_000_000
"""Documents up to which their ids are compared with those of the queries."""


@dataclass(frozen=True)
class Finding:
    """One sentence about a collection.

    Attributes:
        text: what was found, with its languages and numbers.
        fault: whether `suites check` fails because of it.
    """

    text: str
    fault: bool


def findings(suite: Suite, collection: Collection, *, sample: int = 200) -> list[Finding]:
    """What `suites check` and `run` say of a collection, and a result keeps in its notes.

    Args:
        suite: what was loaded.
        collection: all of its languages or a part of them.
        sample: texts of each language and side whose script is looked at; 0 for none, as `check` looks itself.
    """
    return [
        *(Finding(note, fault=True) for note in collection.notes),
        *_unanswered(collection),
        *_missing(suite, collection),
        *_settings(suite, collection),
        *_self_matches(collection),
        *(_scripts(collection, sample) if sample else ()),
    ]


def measurable(suite: Suite, collection: Collection) -> Suite:
    """The suite with only those of its settings that the collection has rows of.

    Raises:
        InputError: it has rows of none, or a measure says nothing of the collection's gains.
    """
    kept = {setting: names for setting, names in suite.settings.items() if collection.has_rows(setting)}
    if not kept:
        raise InputError(
            f"suite {suite.name} has no {' or '.join(suite.settings)} row in {' '.join(collection.languages)}: "
            f"judged are {_listed(collection)}; choose other settings or languages{_hint(suite, collection)}"
        )
    gains = Gains.of(collection.judgements.gain)
    for name in dict.fromkeys(name for names in kept.values() for name in names):
        if (reason := parse(name).unusable(gains)) is not None:
            raise InputError(f"suite {suite.name}: {name} cannot be measured: {reason}")
    return suite if len(kept) == len(suite.settings) else suite.model_copy(update={"settings": kept})


def _unanswered(collection: Collection) -> Iterator[Finding]:
    queries = collection.queries
    answered = set(collection.judgements.query[collection.relevant].tolist())
    for code, rows in queries.rows_by_language.items():
        count = int(np.isin(rows, collection.unanswered).sum())
        if not count:
            continue
        if not answered.intersection(rows.tolist()):
            yield Finding(
                f"{code}: none of the {count:,} judged queries has a relevant document; all count as 0", fault=True
            )
        else:
            yield Finding(
                f"{code}: {count:,} of {len(rows):,} queries are judged and have no relevant document; they count as 0",
                fault=False,
            )


def _missing(suite: Suite, collection: Collection) -> Iterator[Finding]:
    """Languages that a mean would leave out."""
    queries, documents = suite.source.sides(collection.languages)
    pairs = collection.relevant_pairs
    named = {code for code, rows in collection.queries.rows_by_language.items() if _all_in(rows, collection)}
    for code in collection.languages:
        if code in named:
            continue  # said by `_unanswered`
        both = code in queries and code in documents
        asks, answers = any(x == code for x, _ in pairs), any(y == code for _, y in pairs)
        if both and "monolingual" in suite.settings and (code, code) not in pairs:
            what = "query" if code not in collection.queries.sizes else "relevant document in its own language"
            yield Finding(f"{code}: there is no judged {what}; the language is in no mean of the setting", fault=True)
        elif both and not asks and not answers:
            yield Finding(f"{code}: it has no judged query and no relevant document", fault=True)
        elif not both and code in queries and not asks:
            yield Finding(f"{code}: it has no judged query", fault=True)
        elif not both and code in documents and not answers:
            yield Finding(f"{code}: no document in it is relevant to a query", fault=True)


def _all_in(rows: np.ndarray[tuple[int], np.dtype[np.int64]], collection: Collection) -> bool:
    return bool(np.isin(rows, collection.unanswered).all())


def _settings(suite: Suite, collection: Collection) -> Iterator[Finding]:
    whole = set(suite.languages) <= set(collection.languages)
    for setting in suite.settings:
        if not collection.has_rows(setting):
            yield Finding(f"there is no {setting} row: judged are {_listed(collection)}", fault=whole)
    if "cross-lingual" not in suite.settings and (hint := _hint(suite, collection)):
        yield Finding(f"nothing is judged across languages{hint}", fault=False)


def _hint(suite: Suite, collection: Collection) -> str:
    """How the suite may get judgements across languages, where most ids occur in several languages; else empty."""
    hint = suite.source.hint_across(collection.languages)
    if not hint or len(collection.documents) > _MOST_COMPARED or any(x != y for x, y in collection.judged_pairs):
        return ""
    for side in (collection.queries, collection.documents):
        names = [text_id.partition(":")[2] for text_id in side.ids]
        if len(names) - len(set(names)) < min(side.sizes.values()) / 2:
            return ""
    return f"; queries and documents have the same ids in several languages: {hint}"


def _listed(collection: Collection) -> str:
    pairs = sorted(collection.judged_pairs)
    more = f" and {len(pairs) - 8} more" if len(pairs) > 8 else ""
    return ", ".join(f"{x}-{y}" for x, y in pairs[:8]) + more if pairs else "no pairs"


def _self_matches(collection: Collection) -> Iterator[Finding]:
    """Relevant documents that a ranking leaves out; queries that are documents of the pool and are not left out."""
    lost = int(((collection.judgements.gain > 0) & collection.left_out).sum())
    if lost:
        yield Finding(
            f"{lost:,} judged relevant documents are left out of their query's ranking, as its own text or by an "
            "exclusion; they do not count",
            fault=True,
        )
    if len(collection.excluded) or len(collection.documents) > _MOST_COMPARED:
        return
    at = positions_of(collection.documents, collection.queries.ids)
    same = sum(
        1
        for name, text in zip(collection.queries.ids, collection.queries.texts, strict=True)
        if name in at and collection.documents.texts[at[name]].strip() == text.strip()
    )
    if same:
        yield Finding(
            f"{same:,} of {len(collection.queries):,} queries are documents of the pool, with the same id and text, "
            "and stay in their own ranking; `self_matches: removed` under `source` in a suite's YAML leaves them out",
            fault=False,
        )


def _scripts(collection: Collection, sample: int) -> Iterator[Finding]:
    sides: Sequence[tuple[str, Texts]] = (("queries", collection.queries), ("documents", collection.documents))
    for kind, side in sides:
        for code in side.sizes:
            share = share_of_side(side, code, sample)
            if share is not None and share < LEAST_SHARE:
                script = LANGUAGES[code].script
                yield Finding(f"{code}: {share:.0%} of the letters of its {kind} are {script}", fault=True)
