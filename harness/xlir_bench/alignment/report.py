"""The aligned texts of a collection, and how alike one or two encoders make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from xlir_bench.alignment.layers import layer_vectors
from xlir_bench.collection import Collection, Integers, Texts
from xlir_bench.encoders import Encoder, Model, Role, Similarity, VectorCache, Vectors, encode_texts
from xlir_bench.encoders.encode import keeping_vectors
from xlir_bench.encoders.verification import StoredCheck
from xlir_bench.errors import InputError, counted
from xlir_bench.measures import alignment, preference
from xlir_bench.progress import SILENT, Progress

NEIGHBOURS = 10
MOST_TEXTS = 2000


@dataclass(frozen=True)
class AlignedTexts:
    """Texts that say the same in every language.

    Attributes:
        role: what they are in the collection, and so what the encoder is told.
        texts: all of them.
        rows: per language, the positions of its texts; the i-th of every language say the same.
    """

    role: Role
    texts: Texts
    rows: Mapping[str, Integers]

    @property
    def count(self) -> int:
        """How many texts each language has."""
        return len(next(iter(self.rows.values())))


@dataclass(frozen=True)
class Pair:
    """Two languages. `baseline` is CKA with the rows shuffled; None is undefined."""

    a: str
    b: str
    cka: float | None
    baseline: float | None
    alignment: float | None


@dataclass(frozen=True)
class Space:
    """How the vectors of one language lie, or of all ("*"); docs/measures.md has the definitions. None is undefined."""

    language: str
    uniformity: float | None
    mean_cosine: float | None
    isotropy: float | None
    hubness: float | None


@dataclass(frozen=True)
class Layer:
    """Mean CKA over language pairs after a layer; 0 is after the embeddings."""

    layer: int
    cka: float | None
    baseline: float | None


@dataclass(frozen=True)
class Between:
    """CKA between two encoders on the texts of one language."""

    language: str
    cka: float | None
    baseline: float | None


@dataclass(frozen=True)
class AlignmentReport:
    """What `align` finds about one encoder, and about a second one beside it."""

    model: str
    other: str | None
    suite: str
    role: str
    texts: int
    cka: float | None
    baseline: float | None
    pairs: tuple[Pair, ...]
    spaces: tuple[Space, ...]
    layers: tuple[Layer, ...]
    between: tuple[Between, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def aligned_texts(collection: Collection, role: Role) -> AlignedTexts:
    """The texts of a parallel collection: queries by question, or the first relevant document of each.

    Questions that not every language has are left out, and so are repetitions of a document: several questions may have
    one answer, and equal rows would make vectors look aligned.

    Raises:
        InputError: fewer than two languages, or fewer than four texts that all of them have.
    """
    found = _by_question(collection, role)
    if len(found) < 2:
        raise InputError("alignment needs texts in two languages at least; choose more with --languages")
    shared = sorted(set.intersection(*(set(rows) for rows in found.values())))
    languages = sorted(found)
    distinct = dict.fromkeys(tuple(found[code][question] for code in languages) for question in shared)
    seen: list[set[int]] = [set() for _ in languages]
    kept = []
    for row in distinct:
        if not any(position in used for position, used in zip(row, seen, strict=True)):
            kept.append(row)
            for position, used in zip(row, seen, strict=True):
                used.add(position)
    if len(kept) < alignment.FEWEST:
        raise InputError(
            f"only {counted(len(kept), 'texts')} in every one of {' '.join(languages)}; alignment needs "
            f"{alignment.FEWEST} at least"
        )
    kept = [kept[n] for n in np.linspace(0, len(kept) - 1, min(len(kept), MOST_TEXTS)).round().astype(int)]
    side = collection.queries if role == "query" else collection.documents
    return AlignedTexts(
        role, side, {code: np.array([row[n] for row in kept], dtype=np.int64) for n, code in enumerate(languages)}
    )


def report(
    models: Sequence[Model],
    texts: AlignedTexts,
    suite: str,
    *,
    layers: bool = False,
    cache: VectorCache | None = None,
    progress: Progress = SILENT,
) -> AlignmentReport:
    """Measure one encoder, or one beside another.

    Args:
        models: the encoder, and the one to lay beside it, if any.
        texts: from `aligned_texts`.
        suite: its name, for the report.
        layers: also after each layer of the first.
        cache: where vectors are kept from one run to the next.
        progress: called with the number of texts encoded.

    Raises:
        InputError: a model has no vectors, or no layers where they are asked for.
    """
    with keeping_vectors(cache, models[0].info):
        return _report(models, (texts, suite), layers, cache, progress)


def _report(
    models: Sequence[Model],
    data: tuple[AlignedTexts, str],
    layers: bool,
    cache: VectorCache | None,
    progress: Progress,
) -> AlignmentReport:
    texts, suite = data
    model, other = models[0], models[1] if len(models) > 1 else None
    vectors = _vectors(model, texts, cache, progress)
    pairs = tuple(
        Pair(
            a,
            b,
            alignment.centred_kernel_alignment(vectors[a], vectors[b]),
            alignment.shuffled_baseline(vectors[a], vectors[b]),
            alignment.alignment(vectors[a], vectors[b]),
        )
        for a, b in combinations(vectors, 2)
    )
    between: tuple[Between, ...] = ()
    if other is not None:
        theirs = _vectors(other, texts, cache, progress)
        between = tuple(
            Between(
                code,
                alignment.centred_kernel_alignment(vectors[code], theirs[code]),
                alignment.shuffled_baseline(vectors[code], theirs[code]),
            )
            for code in vectors
        )
    names = [one.info.id for one in models]
    if len(set(names)) < len(names):
        names = [one.info.name for one in models]
    everything = {**vectors, "*": np.concatenate(list(vectors.values()))}
    return AlignmentReport(
        model=names[0],
        other=names[1] if other is not None else None,
        suite=suite,
        role=texts.role,
        texts=texts.count,
        cka=_mean([pair.cka for pair in pairs]),
        baseline=_mean([pair.baseline for pair in pairs]),
        pairs=pairs,
        spaces=tuple(_space(code, part, model.info.similarity) for code, part in everything.items()),
        layers=_layers(model, texts) if layers else (),
        between=between,
    )


def _by_question(collection: Collection, role: Role) -> dict[str, dict[str, int]]:
    """Language -> question -> position of its first text."""
    found: dict[str, dict[str, int]] = {}
    if role == "query":
        for row, (code, question) in enumerate(zip(collection.queries.languages, collection.questions, strict=True)):
            found.setdefault(code, {}).setdefault(question, row)
        return found
    judged = collection.judgements
    relevant = judged.gain > 0
    for query, document in zip(judged.query[relevant].tolist(), judged.document[relevant].tolist(), strict=True):
        code = collection.documents.languages[document]
        found.setdefault(code, {}).setdefault(collection.questions[query], document)
    return found


def _vectors(model: Model, texts: AlignedTexts, cache: VectorCache | None, progress: Progress) -> dict[str, Vectors]:
    if not isinstance(model.retriever, Encoder):
        raise InputError(f"{model.info.id} has no vectors, so nothing can be aligned; name an encoder")
    chosen = _chosen(texts)
    if model.info.verify_stored:
        cache = StoredCheck(model, {texts.role: chosen}).usable(cache)
    encoded = encode_texts(model.retriever, model.info, chosen, texts.role, cache=cache, progress=progress).vectors
    parts = np.split(encoded, len(texts.rows))
    return dict(zip(texts.rows, parts, strict=True))


def _chosen(texts: AlignedTexts) -> Texts:
    """The aligned texts alone, language after language."""
    at = np.concatenate([*texts.rows.values()]).tolist()
    side = texts.texts
    return Texts([side.ids[n] for n in at], [side.texts[n] for n in at], [side.languages[n] for n in at])


def _layers(model: Model, texts: AlignedTexts) -> tuple[Layer, ...]:
    assert isinstance(model.retriever, Encoder)
    chosen = _chosen(texts)
    found = []
    matrices = layer_vectors(model.info.id, model.retriever, chosen.texts, chosen.languages, texts.role)
    for number, matrix in enumerate(matrices):
        parts = np.split(matrix, len(texts.rows))
        pairs = list(combinations(parts, 2))
        found.append(
            Layer(
                number,
                _mean([alignment.centred_kernel_alignment(a, b) for a, b in pairs]),
                _mean([alignment.shuffled_baseline(a, b, repeats=1) for a, b in pairs]),
            )
        )
    return tuple(found)


def _space(code: str, vectors: Vectors, similarity: Similarity) -> Space:
    neighbours = alignment.nearest(vectors, vectors, NEIGHBOURS, same="rows", similarity=similarity)
    return Space(
        code,
        alignment.uniformity(vectors),
        alignment.mean_cosine(vectors),
        alignment.isotropy(vectors),
        preference.occurrence_skewness(neighbours, len(vectors)),
    )


def _mean(values: list[float | None]) -> float | None:
    """Of those that are defined."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
