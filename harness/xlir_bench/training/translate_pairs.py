"""A pair store in further languages: the rows that machine translation of its texts makes possible."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xlir_bench.errors import InputError
from xlir_bench.training.build import Record, Said, rows_of
from xlir_bench.training.store import Pair
from xlir_bench.training.translation import Work


@dataclass(frozen=True, slots=True)
class Expansion:
    """Which rows are made.

    Attributes:
        source: the language that is translated.
        targets: the languages that it is translated into.
        per_record: X-Y rows that one row of the store may become, at most; X-X rows are all kept.
        seed: of the draw.
    """

    source: str
    targets: Sequence[str] = field(default=())
    per_record: int = 16
    seed: int = 0


def translated_pairs(pairs: Sequence[Pair], expansion: Expansion, work: Work) -> Iterator[Pair]:
    """The rows that have a translation on at least one side; those that are given are not among them.

    What people wrote in the source language is translated, on whichever side of a row it stands; machine translations
    are not translated again. A row of the source language alone becomes a row of each target alone and rows that join
    all of these languages; a row of the source and another language becomes rows of the targets and that language. They
    keep group and dataset; negatives are translated along with their document, and those that fail are dropped.

    Raises:
        InputError: nothing is in the source language, or the translator does not know a language.
        MissingResourceError: the cache cannot be written.
    """
    source, targets = expansion.source, [code for code in expansion.targets if code != expansion.source]
    chosen = [pair for pair in pairs if not pair.origin and source in (pair.query_language, pair.document_language)]
    if not chosen or not targets:
        raise InputError(f"nothing to translate: no row that people wrote in {source}, or no other language to go to")
    work.translator.check([source, *targets])
    texts = list(dict.fromkeys(text for pair in chosen for text in _texts(pair, source)))
    made = {target: work.kept(texts, source, target) for target in targets}
    origin = f"machine-translated: {work.translator.name}"
    for pair in chosen:
        record = Record(
            pair.dataset, pair.group, _queries(pair, source, made, origin), _documents(pair, source, made, origin)
        )
        draws = "\x1f".join([str(expansion.seed), pair.dataset, pair.group, pair.query, pair.document])
        yield from rows_of(record, expansion.per_record, random.Random(draws), _any_machine)


def _texts(pair: Pair, source: str) -> list[str]:
    of_query = [pair.query] if pair.query_language == source else []
    return of_query + ([pair.document, *pair.negatives] if pair.document_language == source else [])


def _queries(pair: Pair, source: str, made: dict[str, dict[str, str]], origin: str) -> dict[str, Said]:
    queries = {pair.query_language: Said(pair.query)}
    if pair.query_language == source:
        for target, kept in made.items():
            if pair.query in kept:
                queries[target] = Said(kept[pair.query], origin=origin)
    return queries


def _documents(pair: Pair, source: str, made: dict[str, dict[str, str]], origin: str) -> dict[str, Said]:
    documents = {pair.document_language: Said(pair.document, pair.negatives)}
    if pair.document_language == source:
        for target, kept in made.items():
            if pair.document in kept:
                negatives = tuple(kept[text] for text in pair.negatives if text in kept)
                documents[target] = Said(kept[pair.document], negatives, origin)
    return documents


def _any_machine(query: Said, document: Said) -> bool:
    return bool(query.origin or document.origin)
