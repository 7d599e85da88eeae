"""TaskResult files that mteb itself loads, with mteb's own figures and ours beside them."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest
from oracles import GivenScores

from xlir_bench.languages import LANGUAGES, normalise
from xlir_bench.languages import LANGUAGES as TABLE
from xlir_bench.results.exchange import Entry, read_entries, write_mteb
from xlir_bench.results.exchange.mteb_tasks import MTEB_TASKS, alpha3, language_script, mteb_key

mteb = pytest.importorskip("mteb", reason="the oracle of these tests is mteb itself")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The floor on the bundled suite, with a folder of results and one of mteb's files."""
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import run
    from xlir_bench.suites import find, load

    folder = tmp_path_factory.mktemp("exported")
    suite = find("xlir-mini")
    run(resolve("random"), suite, load(suite, None, ["ar", "de", "sw"]), folder / "results")
    (entry,) = read_entries([folder / "results"])
    return entry, write_mteb([entry], folder / "mteb"), folder / "mteb"


def test_the_cache_of_mteb_loads_every_file_and_knows_the_model(exported):
    entry, written, folder = exported
    loaded = mteb.ResultCache(folder).load_results(include_remote=False, require_model_meta=True)
    (model,) = loaded.model_results
    assert (model.model_name, model.model_revision) == ("xlir-bench/random", entry.result.model.fingerprint[:16])
    assert {task.task_name for task in model.task_results} == {path.stem for path in written}


def test_mteb_takes_the_mean_that_the_summary_has(exported):
    entry, written, _ = exported
    for path in written:
        setting = path.stem.partition(".")[2]
        loaded = mteb.results.TaskResult.from_disk(path)
        assert loaded.get_score() == pytest.approx(entry.result.summary[setting]["AP"], abs=1e-12)


def test_figures_of_bias_survive_loading_as_further_keys(exported):
    entry, written, _ = exported
    path = next(path for path in written if path.stem.endswith(".multilingual"))
    rows = mteb.results.TaskResult.from_disk(path).scores["test"]
    said = {score.query_language: score.value for score in entry.result.scores if score.measure == "rank_distance"}
    assert {row["hf_subset"]: row["xlir_rank_distance"] for row in rows} == pytest.approx(said)
    for measure, by_query in entry.result.bias.query_languages.items():
        assert {row["hf_subset"]: row[f"xlir_{measure}"] for row in rows} == pytest.approx(by_query)


def test_the_whole_analysis_stands_in_a_block_of_the_file(exported):
    entry, written, _ = exported
    block = json.loads(written[0].read_text())["xlir_bench"]
    assert block["bias"] == entry.result.bias.model_dump(mode="json")
    assert block["intervals"] == entry.result.model_dump(mode="json")["intervals"]
    assert block["suite"]["fingerprint"] == entry.result.suite.fingerprint


def test_a_name_that_is_a_path_stays_in_the_folder(exported, tmp_path):
    entry, _, _ = exported
    model = entry.result.model.model_copy(update={"id": "../../x/y", "name": "../../../etc", "revision": "../.."})
    hostile = Entry(entry.result.model_copy(update={"model": model}), entry.path)
    for path in write_mteb([hostile], tmp_path / "in" / "here"):
        assert path.resolve().is_relative_to(tmp_path / "in" / "here" / "results")


@pytest.mark.slow
def test_figures_of_all_minilm_are_those_that_mteb_published(shared_data, minilm, tmp_path):
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import run
    from xlir_bench.suites import find, load

    suite = find("xquad")
    run(resolve(str(minilm), "cpu"), suite, load(suite, shared_data, ["el"]), tmp_path / "results")
    write_mteb(read_entries([tmp_path / "results"]), tmp_path)
    (path,) = tmp_path.rglob("XQuADRetrieval.json")
    (ours,) = mteb.results.TaskResult.from_disk(path).scores["validation"]
    with tarfile.open(shared_data / "mteb-results" / "results.tar.xz") as archive:
        name = next(
            member.name
            for member in archive
            if "sentence-transformers__all-MiniLM-L6-v2/" in member.name
            and member.name.endswith("/XQuADRetrieval.json")
        )
        published = json.load(archive.extractfile(name))["scores"]["validation"]
    (theirs,) = [row for row in published if row["hf_subset"] == "el"]
    keys = [key for key in theirs if key.split("_at_")[0] in {"ndcg", "map", "recall", "precision", "mrr"}]
    assert len(keys) >= 30
    assert {key: ours[key] for key in keys} == pytest.approx({key: theirs[key] for key in keys}, abs=2e-5)
    assert (ours["languages"], ours["main_score"]) == (theirs["languages"], ours["ndcg_at_10"])


@pytest.mark.parametrize("task", MTEB_TASKS.values(), ids=lambda task: task.name)
def test_splits_and_subsets_are_those_of_mteb(task):
    metadata = mteb.get_task(task.name).metadata
    assert list(task.splits) == metadata.eval_splits
    assert set(task.subsets) == set(metadata.hf_subsets_to_langscripts)


def test_in_mlqa_the_first_language_of_a_subset_is_that_of_the_corpus():
    subsets = MTEB_TASKS["MLQARetrieval"].subsets
    assert (len(subsets), subsets["ara-deu"], subsets["zho-zho"]) == (49, ("de", "ar"), ("zh", "zh"))


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_of_ours_has_a_name_in_mteb(code):
    assert len(alpha3(code)) == 3
    assert len(language_script(code)) == 8


@pytest.mark.parametrize(
    ("code", "tag"),
    [("af", "afr-Latn"), ("zh", "zho-Hans"), ("zh-Hant", "zho-Hant"), ("ko", "kor-Hang"), ("acq", "acq-Arab")],
)
def test_languages_and_scripts_are_written_as_mteb_does(code, tag):
    assert language_script(code) == tag
    assert normalise(tag) == code


def test_every_listed_language_is_read_back_from_the_tag_that_is_written():
    assert {code: normalise(language_script(code)) for code in TABLE} == {code: code for code in TABLE}


def test_the_keys_of_measures_are_those_of_mteb():
    assert [mteb_key(name) for name in ("nDCG@10", "AP@100", "RR@10", "R@1", "AP", "rank_distance")] == [
        "ndcg_at_10",
        "map_at_100",
        "mrr_at_10",
        "recall_at_1",
        None,
        None,
    ]


def test_mteb_itself_computes_what_the_ranks_give(two_languages):
    from mteb._evaluators.retrieval_metrics import calculate_retrieval_scores

    from xlir_bench.measures import parse
    from xlir_bench.results.exchange.mteb_tasks import mteb_measures
    from xlir_bench.retrieval import count_outranked

    scores = np.random.default_rng(5).random((4, 6)).astype(np.float32)
    ranks = count_outranked(GivenScores(scores), two_languages, across_languages=True)
    row = next(ranks.rows("multilingual"))
    ids, queries = two_languages.documents.ids, [0, 1]
    run = {two_languages.queries.ids[q]: {ids[d]: float(scores[q, d]) for d in range(6)} for q in queries}
    qrels = {}
    for q, d in zip(two_languages.judgements.query.tolist(), two_languages.judgements.document.tolist(), strict=True):
        if q in queries:
            qrels.setdefault(two_languages.queries.ids[q], {})[ids[d]] = 1
    theirs = calculate_retrieval_scores(run, qrels, [1, 3, 5], False)
    for name, found in (("ndcg", theirs.ndcg), ("map", theirs.map), ("recall", theirs.recall)):
        for key, value in found.items():
            ours = mteb_measures()[f"{name}_at_{key.rpartition('@')[2]}"]
            assert float(parse(ours)(row.judged).mean()) == pytest.approx(value, abs=1e-5)
