"""Runs for the gate: small ones made by hand, and real ones on XQuAD-R."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import GivenScores

from xlir_bench.analysis import Run, row_scores, summary_of
from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import Model, resolve
from xlir_bench.evaluation import environment, evaluate, reference
from xlir_bench.results import ModelReference, Result, Timing
from xlir_bench.retrieval import count_outranked
from xlir_bench.suites import Suite, find, obtain

QUESTIONS = 40
LANGUAGES = ("de", "en")


@pytest.fixture(scope="session")
def small() -> Collection:
    """Forty questions in two languages, each answered by one of sixty documents per language."""
    documents = 60
    return Collection(
        Texts(
            [f"{code}:q{n:02}" for code in LANGUAGES for n in range(QUESTIONS)],
            [f"{code} question {n}" for code in LANGUAGES for n in range(QUESTIONS)],
            [code for code in LANGUAGES for _ in range(QUESTIONS)],
        ),
        Texts(
            [f"{code}:{n:02}" for code in LANGUAGES for n in range(documents)],
            [f"{code} document {n}" for code in LANGUAGES for n in range(documents)],
            [code for code in LANGUAGES for _ in range(documents)],
        ),
        Judgements.of(
            [(x * QUESTIONS + n, y * documents + n, 1.0) for x in range(2) for y in range(2) for n in range(QUESTIONS)]
        ),
        [f"q{n:02}" for _ in LANGUAGES for n in range(QUESTIONS)],
    )


@pytest.fixture(scope="session")
def make_run(small):
    """Make a run: `make_run("name", shift)` where `shift` is added to the scores of the answers."""
    suite = find("xlir-mini").model_copy(update={"name": "small", "languages": LANGUAGES})

    def make(name: str = "candidate", shift=0.0, *, suite_name: str = "small", seed: int = 0) -> Run:
        scores = np.random.default_rng(seed).normal(size=(len(small.queries), len(small.documents)))
        j = small.judgements
        scores[j.query, j.document] += 2.0 + np.broadcast_to(shift, j.query.shape)
        ranks = count_outranked(GivenScores(scores), small, across_languages=True)
        scores_of = row_scores(ranks, suite.settings)
        result = Result(
            suite=reference(suite.model_copy(update={"name": suite_name}), small),
            model=ModelReference(
                id=name, name=name, revision=None, fingerprint=f"{name}-weights", prompts={}, details={}
            ),
            harness={"version": "1"},
            environment=environment(),
            created="2026-01-01T00:00:00+00:00",
            timing=Timing(encode_s=0, rank_s=0, measure_s=0, texts_per_s=None, texts_encoded=0, texts_from_cache=0),
            summary=summary_of(scores_of),
            primary={setting: names[0] for setting, names in suite.settings.items()},
            ties=0.0,
            scores=scores_of,
        )
        return Run(name, result, ranks)

    return make


@pytest.fixture(scope="session")
def xquad_r(shared_data) -> tuple[Suite, dict[str, Run]]:
    """XQuAD-R in three languages that share neither family nor script, measured with two real encoders."""
    suite = find("xquad-r")
    narrowed = suite.model_copy(update={"settings": {setting: (n[0],) for setting, n in suite.settings.items()}})
    narrowed = narrowed.model_copy(update={"settings": {**narrowed.settings, "multilingual": ("AP", "rank_distance")}})
    collection = obtain(suite, shared_data, ("ar", "en", "th"))

    def measured(model: Model) -> Run:
        evaluation = evaluate(model, narrowed, collection)
        return Run(model.info.name, evaluation.result, evaluation.ranks)

    return narrowed, {name: measured(resolve(name)) for name in ("xlir-hybrid-static", "bm25")}
