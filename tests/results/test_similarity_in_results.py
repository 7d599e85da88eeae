"""How vectors were compared stands in a result, in what is made of it, and is said where two results differ in it."""

from __future__ import annotations

import csv
import inspect
import io
import json
from functools import partial

import mteb
import numpy as np
import pytest
from leaderboard.site_pages import encoder

from xlir_bench import submissions
from xlir_bench.analysis import compare, load_run
from xlir_bench.encoders import Model, ModelInfo, Options, resolve
from xlir_bench.engines import RayEngine, Streaming, stream
from xlir_bench.evaluation import evaluate, run
from xlir_bench.gating import DEFAULT_POLICY, gate, read_policy
from xlir_bench.results import Result, load_result
from xlir_bench.results.exchange import as_csv, as_json, long_table, read_entries, write_mteb
from xlir_bench.results.exchange.mteb_tasks import MTEB_TASKS
from xlir_bench.retrieval import DenseScorer, Heads, count_outranked
from xlir_bench.submissions.mteb_import import import_mteb
from xlir_bench.suites import find, load

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
SUITE = find("xlir-mini")


class Characters:
    """Counts of characters: a vector follows from the text alone, and its length from the text's."""

    def encode(self, texts, *, role, languages):
        vectors = np.zeros((len(texts), 64), np.float32)
        for row, text in enumerate(texts):
            np.add.at(vectors[row], np.array([ord(sign) * 31 % 64 for sign in text], int), 1 + (role == "query"))
        return vectors


def model(similarity, name=None) -> Model:
    return Model(ModelInfo(name or similarity, name or similarity, "a" * 64, similarity=similarity), Characters())


@pytest.fixture(scope="module")
def collection():
    return load(SUITE, None, ["ar", "de", "sw"])


@pytest.fixture(scope="module")
def stored(collection, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return {name: run(model(name), SUITE, collection, folder).path for name in SIMILARITIES}


def test_a_result_states_it_and_the_figures_follow(stored, collection):
    figures = set()
    for name, path in stored.items():
        result = load_result(path)
        assert result.model.similarity == name
        figures.add(result.summary["multilingual"]["AP"])
    assert len(figures) == 4
    assert evaluate(resolve("bm25"), SUITE, collection).result.model.similarity is None


def test_a_result_of_another_similarity_is_not_taken_for_finished(collection, tmp_path):
    assert run(model("cosine", "m"), SUITE, collection, tmp_path).measured_now
    assert not run(model("cosine", "m"), SUITE, collection, tmp_path).measured_now
    again = run(model("dot", "m"), SUITE, collection, tmp_path)
    assert (again.measured_now, again.result.model.similarity) == (True, "dot")


def test_a_result_of_an_earlier_release_says_nothing(stored, tmp_path):
    content = json.loads(stored["dot"].read_text())
    del content["model"]["similarity"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    old = load_result(tmp_path / "old.json")
    assert old.model.similarity is None
    assert "similarity" not in [fact.text for fact in encoder(old).all("dt")]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_tables_json_and_the_encoders_page_carry_it(similarity, stored):
    result = load_result(stored[similarity])
    assert set(long_table([result])["similarity"]) == {similarity}
    assert {row["similarity"] for row in csv.DictReader(io.StringIO(as_csv([result])))} == {similarity}
    assert json.loads(as_json([result]))[0]["model"]["similarity"] == similarity
    page = encoder(result)
    facts = dict(zip((e.text for e in page.all("dt")), (e.text for e in page.all("dd")), strict=True))
    assert facts["similarity"] == similarity


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_mteb_loads_an_export_and_an_import_reads_it_back(similarity, stored, tmp_path):
    (entry,) = read_entries([stored[similarity]])
    write_mteb([entry], tmp_path)
    loaded = mteb.ResultCache(tmp_path).load_results(include_remote=False, require_model_meta=True)
    assert len(loaded.model_results) == 1
    (place,) = tmp_path.rglob("model_meta.json")
    meta = json.loads(place.read_text())
    # Of ours mteb's reader knows two by name.
    assert meta["similarity_fn_name"] == (similarity if similarity in {"cosine", "dot"} else None)
    task = MTEB_TASKS["XQuADRetrieval"]
    rows = [{"hf_subset": subset, "main_score": 0.5, "ndcg_at_10": 0.5} for subset in task.subsets]
    document = {"task_name": task.name, "dataset_revision": task.revision, "scores": {"validation": rows}}
    (place.parent / f"{task.name}.json").write_text(json.dumps(document))
    import_mteb(tmp_path, tmp_path / "imported")
    (folder,) = submissions.find([tmp_path / "imported"])
    assert submissions.load(folder).imported.model.similarity == similarity


def test_an_import_of_a_similarity_that_is_not_ours_says_nothing(stored, tmp_path):
    (entry,) = read_entries([stored["dot"]])
    write_mteb([entry], tmp_path)
    (place,) = tmp_path.rglob("model_meta.json")
    place.write_text(json.dumps({"name": "org/model", "similarity_fn_name": "MaxSim"}))
    task = MTEB_TASKS["XQuADRetrieval"]
    document = {"task_name": task.name, "scores": {"validation": [{"hf_subset": "de", "ndcg_at_10": 0.5}]}}
    (place.parent / f"{task.name}.json").write_text(json.dumps(document))
    import_mteb(tmp_path, tmp_path / "imported")
    (folder,) = submissions.find([tmp_path / "imported"])
    assert submissions.load(folder).imported.model.similarity is None


def test_compare_and_gate_say_where_two_sides_differ_in_it(stored, capsys):
    runs = {name: load_run(path) for name, path in stored.items()}
    compare([runs["cosine"], runs["dot"]])
    assert "different similarities (cosine: cosine; dot: dot)" in capsys.readouterr().err
    gate([runs["dot"]], [runs["manhattan"]], read_policy(DEFAULT_POLICY))
    assert "different similarities (dot: dot; manhattan: manhattan)" in capsys.readouterr().err


def test_nothing_is_said_where_they_agree_or_one_does_not_state_it(stored, collection, tmp_path, capsys):
    one, other = load_run(stored["dot"]), load_run(run(model("dot", "twin"), SUITE, collection, tmp_path).path)
    compare([one, other])
    silent = other.result.model.model_copy(update={"similarity": None})
    content = other.result.model_copy(update={"model": silent})
    compare([load_run(stored["cosine"]), type(other)("twin", Result.model_validate(content.model_dump()), other.ranks)])
    assert "similarities" not in capsys.readouterr().err


def everything(ranks):
    pools = ranks.rankings.pools
    tops = {pool: list(ranks.rankings.of_pool(pool, ranks.rankings.queries, 20)) for pool in pools}
    return ranks.outranked.tolist(), ranks.tied.tolist(), ranks.rank_in_pool.tolist(), tops


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_streamed_corpus_has_the_ranks_of_one_in_memory(similarity, collection, tmp_path):
    heads = Heads(20, by_language=True)
    encoder = Characters()
    vectors = [
        encoder.encode(side.texts, role=role, languages=side.languages)
        for side, role in ((collection.queries, "query"), (collection.documents, "document"))
    ]
    held = count_outranked(DenseScorer(*vectors, similarity), collection, across_languages=True, heads=heads)
    for size in (7, 100):
        streaming = Streaming(size, records=str(tmp_path / f"{similarity}{size}"))
        found = stream(model(similarity), collection, streaming, across_languages=True, heads=heads)
        assert everything(found.ranks) == everything(held)


@pytest.mark.parametrize("similarity", ["euclidean", "manhattan"])
def test_a_cluster_has_the_ranks_of_one_machine(similarity, collection, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'xlir-bench[ray]'")
    # Workers cannot import a test's module.
    source = inspect.getsource(Characters)
    (tmp_path / "characters.py").write_text(
        f"import numpy as np\n\n{source}\n\ndef build():\n    return Characters()\n"
    )
    made = partial(resolve, f"{tmp_path / 'characters.py'}:build", options=Options(similarity=similarity))
    heads = Heads(20, by_language=True)
    here, there = (
        stream(
            made(),
            collection,
            Streaming(40, records=str(tmp_path / place), **engine),
            across_languages=True,
            heads=heads,
        )
        for place, engine in (("here", {}), ("there", {"engine": RayEngine(made, None)}))
    )
    assert everything(there.ranks) == everything(here.ranks)
