"""A held-out pair set as a test collection: what early stopping and sweeps may look at while nothing is measured yet.

A query is relevant to every document of its group, in whichever language; the three settings and their measures are
those of a suite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from xlir_bench.collection import SETTINGS, Collection, Judgements, Setting, Texts
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.training.heldout import Embeddings

if TYPE_CHECKING:
    import pyarrow as pa

MEASURES: dict[Setting, tuple[str, ...]] = {
    "monolingual": ("AP", "P@1"),
    "cross-lingual": ("AP", "P@1"),
    "multilingual": ("AP", "P@1", "rank_distance"),
}
_SAME_QUERIES = 0.01

Scores = dict[str, dict[str, float]]
"""Setting -> measure -> mean over its rows."""


class EncodeRole(Protocol):
    """Texts to vectors."""

    def __call__(self, texts: Sequence[str], languages: Sequence[str], *, query: bool) -> Embeddings:
        """Vectors of shape (texts, dimensions)."""
        ...


def collection_of(table: pa.Table) -> Collection:
    """The pairs as a collection; a text that stands in several groups is relevant in each.

    Raises:
        InputError: there is no row.
    """
    if not table.num_rows:
        raise InputError("the held-out pair set is empty")
    queries: dict[tuple[str, str, str], int] = {}
    documents: dict[tuple[str, str], int] = {}
    documents_of: dict[str, set[int]] = {}
    names = ("query", "document", "query_language", "document_language", "group", "dataset")
    for query, document, asked, given, group, dataset in zip(
        *(table.column(name).to_pylist() for name in names), strict=True
    ):
        record = f"{dataset}\0{group}"
        queries.setdefault((asked, query, record), len(queries))
        at = documents.setdefault((given, document), len(documents))
        documents_of.setdefault(record, set()).add(at)
    triples = [(at, document, 1.0) for (_, _, record), at in queries.items() for document in documents_of[record]]
    asked_keys, given_keys = list(queries), list(documents)
    return Collection(
        Texts([f"q{at}" for at in range(len(queries))], [key[1] for key in asked_keys], [key[0] for key in asked_keys]),
        Texts(
            [f"d{at}" for at in range(len(documents))], [key[1] for key in given_keys], [key[0] for key in given_keys]
        ),
        Judgements.of(triples),
        [key[2] for key in asked_keys],
    )


def score(encode: EncodeRole, collection: Collection, measures: Mapping[Setting, Sequence[str]] = MEASURES) -> Scores:
    """What an encoder reaches on a collection, in every setting that it has rows for."""
    from xlir_bench.measures import parse
    from xlir_bench.retrieval import DenseScorer, count_outranked

    documents = encode(collection.documents.texts, collection.documents.languages, query=False)
    queries = encode(collection.queries.texts, collection.queries.languages, query=True)
    ranks = count_outranked(DenseScorer(queries, documents, "cosine"), collection, across_languages=True)
    scores: Scores = {}
    for setting in SETTINGS:
        rows = list(ranks.rows(setting))
        if rows and (setting == "monolingual" or len(collection.languages) > 1):
            wanted = [parse(name) for name in measures[setting]]
            scores[setting] = {str(m): float(np.mean([row.values(m)[1].mean() for row in rows])) for m in wanted}
    return scores


def single_figure(scores: Scores) -> float:
    """What early stopping compares: the mean AP of the settings that the set has."""
    return float(np.mean([values["AP"] for values in scores.values()]))


def refuse_suites(paths: Sequence[Path], table: pa.Table, collection: Collection) -> None:
    """Nothing may be chosen on what is measured later: refuse a set that is an evaluation suite.

    A set is one if it carries a suite's name (its file, or one of its data sets), if it has a suite's fingerprint, or
    if at least one of a hundred of its queries is, to the letter, a query of a cross-lingual suite whose files are on
    this machine.

    Raises:
        InputError: it is; the message names the suite.
    """
    from xlir_bench.suites import find, load, shipped

    names = {_plain(path.stem) for path in paths} | {_plain(name) for name in set(table.column("dataset").to_pylist())}
    asked = set(collection.queries.texts)
    rule = "nothing is chosen on what is measured later: hold out other pairs"
    for name in shipped():
        if _plain(name) in names:
            raise InputError(f"{paths[0]}: held-out pairs of the evaluation suite {name}; {rule}")
    for name in shipped():
        suite = find(name)
        if suite.expect.fingerprint == collection.fingerprint:
            raise InputError(f"{paths[0]}: has the fingerprint of the evaluation suite {name}; {rule}")
        if "cross-lingual" not in suite.settings:
            continue
        try:
            theirs = load(suite, expected=False)
        except (MissingResourceError, InputError):
            continue
        shared = len(asked.intersection(theirs.queries.texts))
        if shared >= max(1.0, _SAME_QUERIES * len(asked)):
            raise InputError(
                f"{paths[0]}: {shared:,} of {len(asked):,} queries are queries of the evaluation suite {name}; {rule}"
            )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name.lower()).strip("-")
