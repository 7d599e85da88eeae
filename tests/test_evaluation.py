"""The main job on real data with real weights, against what others published and against mteb."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest

from xlir_bench.encoders import Model, ModelInfo, VectorCache, resolve
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate, run
from xlir_bench.results import load_ranks, load_result, ranks_path
from xlir_bench.suites import find, load

MINILM = "sentence-transformers__all-MiniLM-L6-v2"


class LetterEncoder:
    """Counts letters: deterministic, and different for the two roles."""

    calls = 0

    def encode(self, texts, *, role, languages):
        self.calls += len(texts)
        return np.array([[t.count(c) + (role == "query") for c in "aeinrstu"] for t in texts], dtype=np.float32)


def letters(name: str = "letters") -> Model:
    return Model(ModelInfo(name, name, "1" * 64), LetterEncoder())


@pytest.fixture(scope="module")
def published(shared_data) -> dict[str, dict[str, float]]:
    """MTEB's published results of all-MiniLM-L6-v2: task -> subset -> main score."""
    found: dict[str, dict[str, float]] = {}
    with tarfile.open(shared_data / "mteb-results" / "results.tar.xz") as archive:
        for member in archive:
            parts = member.name.split("/")
            if MINILM in parts and parts[-1] in {"XQuADRetrieval.json", "SciFact.json"}:
                content = json.load(archive.extractfile(member))
                for split, entries in content["scores"].items():
                    for entry in entries if split != "train" else ():
                        found.setdefault(content["task_name"], {})[entry["hf_subset"]] = entry["main_score"]
    return found


@pytest.mark.slow
def test_minilm_on_xquad_scores_as_mteb_published(shared_data, minilm, published):
    result = evaluate(resolve(str(minilm), "cpu"), find("xquad"), load(find("xquad"), shared_data)).result
    found = {s.query_language: s.value for s in result.scores if s.measure == "nDCG@10"}
    expected = published["XQuADRetrieval"]
    assert len(found) == 12
    exact = {"tr", "zh", "ro", "el"}
    for code, value in found.items():
        tolerance = 1.05e-5 if code in exact else 0.001 if code == "th" else 0.0005
        assert value == pytest.approx(expected[code], abs=tolerance), code


@pytest.mark.slow
def test_minilm_on_scifact_scores_as_mteb_published(shared_data, minilm, published):
    result = evaluate(resolve(str(minilm), "cpu"), find("scifact"), load(find("scifact"), shared_data)).result
    assert published["SciFact"]["default"] == pytest.approx(0.64508, abs=1e-5)
    assert result.summary["monolingual"]["nDCG@10"] == pytest.approx(0.64508, abs=1e-4)


def test_random_vectors_have_the_rank_distance_that_theory_gives(parallel_suite):
    """(N + 1)(n - 1)/(n + 1) for n = 11 relevant of N = 12,672: about 10,561."""
    result = evaluate(resolve("random"), parallel_suite, load(parallel_suite)).result
    assert result.summary["multilingual"]["rank_distance"] == pytest.approx(12_673 * 10 / 12, rel=0.01)
    assert [sum(s.setting == name and s.measure == "AP" for s in result.scores) for name in result.summary] == [
        11,
        110,
        11,
    ]


def test_the_summary_is_the_mean_over_rows_with_equal_weight(parallel_suite):
    suite = parallel_suite
    result = evaluate(letters(), suite, load(suite, languages=["de", "th"])).result
    for setting, measures in result.summary.items():
        for name, value in measures.items():
            rows = [s.value for s in result.scores if (s.setting, s.measure) == (setting, name)]
            assert value == pytest.approx(sum(rows) / len(rows))
    assert {(s.query_language, s.document_language) for s in result.scores if s.setting == "cross-lingual"} == {
        ("de", "th"),
        ("th", "de"),
    }


def test_what_was_finished_is_not_done_again(parallel_suite, tmp_path):
    suite = parallel_suite
    collection = load(suite, languages=["en"])
    suite = suite.narrowed(["monolingual"])
    first = letters()
    kept = run(first, suite, collection, tmp_path)
    assert kept.measured_now
    assert first.retriever.calls > 0
    second = letters()
    again = run(second, suite, collection, tmp_path)
    assert not again.measured_now
    assert second.retriever.calls == 0
    assert again.result == kept.result == load_result(kept.path)


@pytest.mark.parametrize("change", ["model", "data", "settings"])
def test_another_model_data_or_setting_is_another_run(parallel_suite, tmp_path, change):
    suite = parallel_suite
    collection = load(suite, languages=["en", "de"])
    run(letters(), suite.narrowed(["monolingual"]), collection, tmp_path)
    model, narrowed = letters(), suite.narrowed(["monolingual"])
    if change == "model":
        model = Model(ModelInfo("letters", "letters", "2" * 64), LetterEncoder())
    elif change == "data":
        collection = collection.select(["en"])
    else:
        narrowed = suite.narrowed(["monolingual", "multilingual"])
    run(model, narrowed, collection, tmp_path)
    assert model.retriever.calls > 0


def test_an_interrupted_run_encodes_only_what_was_left(parallel_suite, tmp_path):
    suite = parallel_suite.narrowed(["monolingual"])
    collection = load(suite, languages=["en", "de", "es"])

    class Interrupted(LetterEncoder):
        def encode(self, texts, *, role, languages):
            if self.calls > 2000:
                raise KeyboardInterrupt
            return super().encode(texts, role=role, languages=languages)

    broken = Model(ModelInfo("letters", "letters", "1" * 64), Interrupted())
    cache = VectorCache(tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        evaluate(broken, suite, collection, cache=cache)
    resumed = letters()
    result = evaluate(resumed, suite, collection, cache=VectorCache(tmp_path / "cache")).result
    whole = letters()
    expected = evaluate(whole, suite, collection).result
    assert resumed.retriever.calls == whole.retriever.calls - broken.retriever.calls
    assert result.scores == expected.scores


def test_the_stored_ranks_give_every_figure_again(parallel_suite, tmp_path):
    from xlir_bench.measures import parse

    suite = parallel_suite
    collection = load(suite, languages=["de", "th", "zh"])
    kept = run(letters(), suite, collection, tmp_path)
    ranks = load_ranks(ranks_path(kept.path))
    again = {
        (setting, row.query_language, row.document_language, name): parse(name)(row.judged).mean()
        for setting, names in suite.settings.items()
        for row in ranks.rows(setting)
        for name in names
    }
    assert again == {(s.setting, s.query_language, s.document_language, s.measure): s.value for s in kept.result.scores}


def test_equal_sentences_are_reported_as_ties(parallel_suite):
    suite = parallel_suite.narrowed(["monolingual"])
    collection = load(suite, languages=["en"])

    class Constant:
        def encode(self, texts, *, role, languages):
            return np.ones((len(texts), 3), dtype=np.float32)

    result = evaluate(Model(ModelInfo("constant", "constant", "3" * 64), Constant()), suite, collection).result
    assert result.ties == 1.0
    assert evaluate(resolve("random"), suite, collection).result.ties < 0.01


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda n: np.full((n, 4), np.nan), "NaN"),
        (lambda n: np.zeros((n - 1, 4)), "shape"),
        (lambda n: np.zeros(n), "shape"),
        (lambda n: None, "expected"),
    ],
)
def test_an_encoder_that_gives_no_vectors_is_refused(parallel_suite, returned, message):
    suite = parallel_suite.narrowed(["monolingual"])
    collection = load(suite, languages=["en"])

    class Wrong:
        def encode(self, texts, *, role, languages):
            return returned(len(texts))

    with pytest.raises(InputError, match=message):
        evaluate(Model(ModelInfo("wrong", "wrong", "4" * 64), Wrong()), suite, collection)
