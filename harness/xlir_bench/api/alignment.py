"""`align`: how alike a model makes translations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Unpack, cast

from xlir_bench.alignment import AlignmentReport, aligned_texts, report
from xlir_bench.api.collection import Collection
from xlir_bench.api.evaluating import AnyModel, checked_languages, one_suite_of
from xlir_bench.api.options import EvaluateOptions, ModelOptions, refuse_others
from xlir_bench.api.session import Session
from xlir_bench.encoders import VectorCache
from xlir_bench.encoders.objects import in_evaluation_mode
from xlir_bench.errors import unknown_name
from xlir_bench.suites import DEFAULT_SUITE

_TEXTS = ("documents", "queries")


class AlignOptions(ModelOptions, total=False):
    """`ModelOptions`, which hold for both models, and where data and vectors are.

    Attributes:
        languages: a part of the suite's languages.
        data: folder searched first for the suite's files.
        cache: see `EvaluateOptions`.
        progress: draw a bar per stage on standard error.
    """

    languages: Sequence[str] | None
    data: str | Path | None
    cache: bool | None
    progress: bool


def align(
    model: AnyModel,
    suite: str | Path | Collection = DEFAULT_SUITE,
    *,
    other: AnyModel | None = None,
    texts: Literal["documents", "queries"] = "documents",
    layers: bool = False,
    **options: Unpack[AlignOptions],
) -> AlignmentReport:
    """Measure how alike a model makes the texts of a parallel suite that are translations of one another.

    Args:
        model: see `evaluate`.
        suite: one whose questions are asked in several languages.
        other: a second model, for the likeness of both, language by language.
        texts: which of the suite: its questions, or the documents that answer them.
        layers: also after each layer of `model`, an encoder of transformers given by its id.
        options: see `AlignOptions`.

    Returns:
        CKA of every two languages beside its shuffled baseline, alignment, uniformity, isotropy and hubness.

    Raises:
        InputError: something given is wrong, or the suite has fewer than four texts that all languages share.
        MissingResourceError: something is not on this machine.

    Examples:
        >>> import xlir_bench as xb
        >>> found = xb.align("random", languages=["de", "en"])
        >>> [pair] = found.pairs
        >>> abs(pair.cka - pair.baseline) < 0.1
        True
    """
    refuse_others(options, AlignOptions)
    if texts not in _TEXTS:
        raise unknown_name("kind of texts", str(texts), _TEXTS, f"known: {', '.join(_TEXTS)}")
    chosen = one_suite_of(suite)
    languages = options.get("languages")
    opened = cast(EvaluateOptions, {name: value for name, value in options.items() if name != "languages"})
    with in_evaluation_mode(model), in_evaluation_mode(other):
        sessions = [Session.open(one, opened) for one in (model, other) if one is not None]
        first = sessions[0]
        collection = first.collection(chosen, None if languages is None else checked_languages(languages))
        aligned = aligned_texts(collection, "query" if texts == "queries" else "document")
        models, cache = [one.model for one in sessions], first.vectors
        if not isinstance(cache, VectorCache) or any(one.vectors is None for one in sessions):
            cache = None
        with first.progress() as progress:
            return report(models, aligned, chosen.name, layers=layers, cache=cache, progress=progress)
