"""Our suites as tasks of mteb: the same figures as ours, and as mteb's own evaluation gives."""

from __future__ import annotations

import mteb
import pytest
from sentence_transformers import SentenceTransformer

import xlir_bench as xb
from xlir_bench.integrations.mteb import tasks
from xlir_bench.resources import folder

LANGUAGES = ["de", "en", "th"]


@pytest.fixture(scope="module")
def static_model() -> SentenceTransformer:
    return SentenceTransformer(str(folder("submissions") / "xlir-hybrid-static"), device="cpu")


def by_mteb(model, languages):
    results = mteb.evaluate(model, tasks=tasks(["xlir-mini"], languages=languages), cache=None)
    return {one["hf_subset"]: one for one in results.task_results[0].scores["test"]}


@pytest.fixture(scope="module")
def evaluated(static_model):
    return by_mteb(static_model, LANGUAGES)


def assert_same_in_every_pair(evaluated, model, languages):
    ours = xb.evaluate(model, "xlir-mini", languages=languages, measures=["AP", "nDCG@10", "R@100"])
    table = ours.to_pandas()
    assert len(evaluated) == len(languages) ** 2 + len(languages)
    assert len(table) == 3 * len(evaluated)
    for row in table.itertuples():
        subset = f"{row.query_language}-{'all' if row.document_language == '*' else row.document_language}"
        key = {"AP": "ap", "nDCG@10": "ndcg_at_10", "R@100": "recall_at_100"}[row.measure]
        assert evaluated[subset][key] == pytest.approx(row.value, abs=1e-6)


def test_every_pair_has_the_figure_that_evaluate_gives(static_model, evaluated):
    assert_same_in_every_pair(evaluated, static_model, LANGUAGES)


def test_real_weights_have_the_same_figures_in_mteb(minilm):
    model = SentenceTransformer(str(minilm), device="cpu")
    assert_same_in_every_pair(by_mteb(model, ["de", "en"]), model, ["de", "en"])


def test_figures_of_bias_come_with_the_pool_of_all_languages(static_model, evaluated):
    ours = xb.evaluate(static_model, "xlir-mini", languages=LANGUAGES)
    for name, value in ours.bias.summary.items():
        assert evaluated["de-all"][f"bias_{name}"] == pytest.approx(value, abs=1e-6)
    assert not any(key.startswith("bias_") for key in evaluated["de-th"])


def test_mtebs_own_evaluation_of_the_same_texts_agrees(static_model, evaluated):
    """mteb encodes each subset for itself, sorts, and scores with pytrec_eval."""
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.models import SentenceTransformerEncoderWrapper

    from xlir_bench.integrations.mteb import subset_data

    [task] = tasks(["xlir-mini"], languages=LANGUAGES)
    model = SentenceTransformerEncoderWrapper(static_model)
    task.dataset = {subset: {"test": subset_data(task.collection, subset)} for subset in task.hf_subsets}
    task.data_loaded = True
    native = AbsTaskRetrieval.evaluate(task, model, "test", None, encode_kwargs={"batch_size": 64})
    for subset, scores in native.items():
        # The largest pool has 432 documents, so that map_at_1000 is AP; mteb rounds to five decimals.
        assert evaluated[subset]["ap"] == pytest.approx(scores["map_at_1000"], abs=1e-5)
        for key in ("ndcg_at_10", "recall_at_100", "mrr_at_10", "precision_at_5", "hit_rate_at_3"):
            assert evaluated[subset][key] == pytest.approx(scores[key], abs=1e-5), (subset, key)


def test_texts_are_encoded_once_for_all_subsets(static_model):
    class Counting:
        def __init__(self):
            from mteb.models import SentenceTransformerEncoderWrapper

            self.inner, self.texts = SentenceTransformerEncoderWrapper(static_model), 0
            self.mteb_model_meta = self.inner.mteb_model_meta

        def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs):
            self.texts += len(inputs.dataset)
            context = {"task_metadata": task_metadata, "hf_split": hf_split, "hf_subset": hf_subset}
            return self.inner.encode(inputs, prompt_type=prompt_type, **context, **kwargs)

        def similarity(self, a, b):
            return self.inner.similarity(a, b)

        def similarity_pairwise(self, a, b):
            return self.inner.similarity_pairwise(a, b)

    model = Counting()
    [task] = tasks(["xlir-mini"], languages=["de", "th"])
    scores = task.evaluate(model, encode_kwargs={})
    assert len(scores) == 6
    assert model.texts <= 2 * (72 + 144)


def test_a_search_model_is_evaluated_by_mteb():
    from mteb.models import ModelMeta

    class Words:
        """A search model: shares of common words."""

        mteb_model_meta = ModelMeta.create_empty({"name": "own/words"})

        def index(self, corpus, *, task_metadata, hf_split, hf_subset, encode_kwargs, num_proc):
            self.documents = {one["id"]: set(one["text"].lower().split()) for one in corpus}

        def search(self, queries, *, task_metadata, hf_split, hf_subset, top_k, encode_kwargs, **kwargs):
            found = {}
            for one in queries:
                words = set(one["text"].lower().split())
                scores = {name: float(len(words & text)) for name, text in self.documents.items()}
                found[one["id"]] = dict(sorted(scores.items(), key=lambda pair: -pair[1])[:top_k])
            return found

    [task] = tasks(["xlir-mini"], languages=["en"])
    scores = task.evaluate(Words(), encode_kwargs={})
    assert 0.1 < scores["en-en"]["ap"] < 1
    assert scores["en-en"]["main_score"] == scores["en-en"]["ap"]
    assert task.evaluate(Words(), encode_kwargs={})["en-en"]["ap"] == scores["en-en"]["ap"]


def test_mteb_describes_the_data_of_every_subset(monkeypatch, tmp_path):
    [task] = tasks(["xlir-mini"], languages=["de", "th"])
    monkeypatch.setattr(type(task.metadata), "descriptive_stat_path", tmp_path / "stats.json")
    [described] = task.calculate_descriptive_statistics(overwrite_results=True).values()
    by_subset = described["hf_subset_descriptive_stats"]
    assert by_subset.keys() == set(task.hf_subsets)
    collection = task.collection
    pools = collection.documents.sizes | {"all": len(collection.documents)}
    for subset, found in by_subset.items():
        query_language, pool = subset.split("-")
        assert found["documents_text_statistics"]["unique_texts"] <= pools[pool]
        assert found["num_documents"] == pools[pool]
        assert found["num_queries"] == collection.queries.sizes[query_language]


def test_a_narrowed_task_has_the_subsets_of_its_languages():
    [task] = tasks(["xlir-mini"], languages=["de", "th"])
    assert sorted(task.hf_subsets) == sorted(["de-de", "th-th", "de-th", "th-de", "de-all", "th-all"])


def test_stored_results_of_other_languages_are_not_taken(static_model, tmp_path):
    """The pool of all languages is another one for each choice of languages."""
    from mteb.cache import ResultCache

    def pools(languages, cache):
        results = mteb.evaluate(static_model, tasks=tasks(["xlir-mini"], languages=languages), cache=cache)
        [scores] = [one.scores["test"] for one in results.task_results]
        return {one["hf_subset"]: one["ap"] for one in scores}

    cache = ResultCache(tmp_path)
    first = pools(["de", "th"], cache)
    second = pools(["de", "en"], cache)
    assert second == pytest.approx(pools(["en", "de"], None), abs=1e-5)
    assert set(second) == {"de-de", "en-en", "de-en", "en-de", "de-all", "en-all"}
    assert second["de-all"] != pytest.approx(first["de-all"], abs=1e-3)
    # What mteb stores is rounded to six decimals.
    assert pools(["th", "de"], cache) == pytest.approx(first, abs=1e-5)


def test_stored_results_of_other_files_are_not_taken(static_model, tmp_path):
    from mteb.cache import ResultCache

    place = tmp_path / "own"
    (place / "qrels").mkdir(parents=True)
    (place / "queries.jsonl").write_text('{"_id": "q", "text": "Haus am See"}\n')
    (place / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")

    def figure(*texts):
        lines = [f'{{"_id": "{name}", "text": "{text}"}}\n' for name, text in zip("de", texts, strict=True)]
        (place / "corpus.jsonl").write_text("".join(lines))
        results = mteb.evaluate(
            static_model, tasks=tasks([str(place)], languages=["de"]), cache=ResultCache(tmp_path / "cache")
        )
        return results.task_results[0].scores["test"][0]["ap"]

    assert figure("Haus am See", "Motor") == 1
    assert figure("Motor", "Haus am See") == 0.5


def test_mtebs_own_filter_stays_within_the_chosen_languages():
    [task] = tasks(["xlir-mini"], languages=["de", "en"])
    assert task.filter_languages(["deu"]).hf_subsets == ["de-de", "de-en", "en-de", "de-all", "en-all"]


def test_bad_names_are_refused():
    with pytest.raises(xb.InputError, match="suites is a list"):
        tasks("xlir-mini")
    with pytest.raises(xb.InputError, match="unknown suite"):
        tasks(["xlir-mni"])
