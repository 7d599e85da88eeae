"""Tasks of mteb: what we read is what mteb reads, and the scores are mteb's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xlir_bench.encoders import Model, ModelInfo
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate
from xlir_bench.languages import normalise
from xlir_bench.suites import Group, find, load, look_up
from xlir_bench.suites.mteb_task import subset_languages

mteb = pytest.importorskip("mteb")

SUBSETS = {
    "ara-deu": ["ara-Arab", "deu-Latn"],
    "deu-deu": ["deu-Latn", "deu-Latn"],
    "eng-eng": ["eng-Latn", "eng-Latn"],
}


def write(folder, name: str, rows: list[dict]) -> dict:
    """One configuration of a data set in the hub's folder layout."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"config_name": name, "data_files": [{"split": "test", "path": f"{name}.jsonl"}]}


def subset_rows(subset: str):
    """Documents, queries and judgements of a subset; every third document has a title, one document is a query too."""
    rng = np.random.default_rng(len(subset) + ord(subset[-1]))
    words = [f"{subset[:2]}{n}" for n in range(30)]
    texts = [" ".join(rng.choice(words, 9)) for _ in range(60)]
    documents = [
        {"_id": f"d{n}", "title": f" title {n}" if n % 3 == 0 else "", "text": f"{text} "}
        for n, text in enumerate(texts)
    ]
    queries = [{"_id": f"q{n}", "text": " ".join(rng.choice(words, 4))} for n in range(20)]
    queries.append({"_id": "d7", "text": texts[7]})
    queries.append({"_id": "unjudged", "text": "nobody judged this"})
    judged = [
        {"query-id": query["_id"], "corpus-id": f"d{d}", "score": int(g)}
        for query in queries[:-1]
        for d, g in zip(rng.choice(60, 4, replace=False), [1, 2, 1, 0], strict=True)
    ]
    return documents, queries, judged


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Tasks of mteb whose data sets are local folders in the hub's layout: one of several subsets, one of one."""
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    root = tmp_path_factory.mktemp("hub")
    for name, subsets in (("pairs", list(SUBSETS)), ("plain", [None])):
        configurations = []
        for subset in subsets:
            parts = ("corpus", "queries", "qrels") if subset else ("corpus", "queries", "default")
            for part, rows in zip(parts, subset_rows(subset or "eng-eng"), strict=True):
                configurations.append(write(root / name, f"{subset}-{part}" if subset else part, rows))
        front = json.dumps({"configs": configurations})
        (root / name / "README.md").write_text(f"---\n{front}\n---\n")

    def task(name, folder, languages, **attributes):
        metadata = TaskMetadata(
            name=name, dataset={"path": str(root / folder), "revision": "local"}, description="A local task.",
            type="Retrieval", category="t2t", modalities=["text"], eval_splits=["test"], eval_langs=languages,
            main_score="ndcg_at_10", reference=None, date=None, domains=None, task_subtypes=None, license=None,
            annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation=None,
        )  # fmt: skip
        return type(name, (AbsTaskRetrieval,), {"metadata": metadata, **attributes})

    return {
        "LocalPairs": task("LocalPairs", "pairs", SUBSETS),
        "LocalSeveral": task("LocalSeveral", "pairs", {"deu-deu": ["deu-Latn"], "eng-eng": ["eng-Latn"]}),
        "LocalPlain": task("LocalPlain", "plain", ["eng-Latn"]),
        "LocalExcluding": task("LocalExcluding", "plain", ["eng-Latn"], ignore_identical_ids=True),
    }


@pytest.fixture
def registered(tasks, monkeypatch, tmp_path):
    """The tasks where `mteb.get_task` looks."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    registry = __import__("mteb.get_tasks", fromlist=["_TASKS_REGISTRY"])._TASKS_REGISTRY
    for name, task in tasks.items():
        monkeypatch.setitem(registry, name, task)


class Hashed:
    """A deterministic encoder of words, for mteb and for us."""

    def vectors(self, texts):
        rows = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                rows[row, sum(word.encode()) * 7919 % 64] += 1 + len(word) / 10
        return rows

    def encode(self, texts, *, role, languages):
        return self.vectors(texts)


def judged_by_id(collection):
    found = {}
    j = collection.judgements
    for q, d, gain in zip(j.query, j.document, j.gain, strict=True):
        found.setdefault(collection.queries.ids[q], {})[collection.documents.ids[d]] = int(gain)
    return found


@pytest.mark.parametrize("subset", [*SUBSETS, None])
def test_queries_documents_and_judgements_are_mtebs(registered, subset):
    from mteb._create_dataloaders import _retrieval_texts
    from mteb.types import PromptType

    name = "LocalPairs" if subset else "LocalPlain"
    task = mteb.get_task(name)
    task.load_data()
    theirs = task.dataset[subset or "default"]["test"]
    collection = load(find(f"mteb:{name}/{subset}" if subset else f"mteb:{name}"))
    for side, data, role in (
        (collection.documents, theirs["corpus"], PromptType.document),
        (collection.queries, theirs["queries"], PromptType.query),
    ):
        assert dict(zip(side.ids, side.texts, strict=True)) == dict(
            zip(data["id"], _retrieval_texts(data, role), strict=True)
        )
    assert judged_by_id(collection) == theirs["relevant_docs"]


def test_subsets_of_one_language_each_are_one_collection_with_the_language_before_every_id(registered):
    task = mteb.get_task("LocalSeveral")
    task.load_data()
    suite = find("mteb:LocalSeveral")
    assert (suite.languages, list(suite.settings)) == (("de", "en"), ["monolingual"])
    collection = load(suite)
    expected = {
        f"{code}:{query}": {f"{code}:{document}": gain for document, gain in row.items()}
        for code, subset in (("de", "deu-deu"), ("en", "eng-eng"))
        for query, row in task.dataset[subset]["test"]["relevant_docs"].items()
    }
    assert judged_by_id(collection) == expected
    assert load(suite, languages=["en"]).languages == ("en",)


def mteb_scores(name: str) -> dict[str, dict[str, float]]:
    """Subset -> measure -> value, by `mteb.evaluate` itself."""
    from mteb.models.model_meta import ModelMeta

    class Theirs(Hashed):
        mteb_model_meta = ModelMeta.create_empty({"name": "local/hashed", "revision": "1"})

        def encode(self, inputs, **_):
            return self.vectors([text for batch in inputs for text in batch["text"]])

        def similarity(self, first, second):
            first, second = np.asarray(first), np.asarray(second)
            norms = np.linalg.norm(first, axis=1)[:, None] * np.linalg.norm(second, axis=1)
            return __import__("torch").from_numpy(first @ second.T / norms)

        def similarity_pairwise(self, first, second):
            raise NotImplementedError

    result = mteb.evaluate(Theirs(), mteb.get_task(name), cache=None, show_progress_bar=False)
    return {entry["hf_subset"]: entry for entry in result.task_results[0].scores["test"]}


NAMES = {"nDCG@10": "ndcg_at_10", "R@100": "recall_at_100"}


@pytest.mark.parametrize("name", ["LocalPairs", "LocalPlain", "LocalExcluding"])
def test_scores_are_mtebs(registered, name):
    expected = mteb_scores(name)
    model = Model(ModelInfo("hashed", "hashed", "2" * 64), Hashed())
    subsets = list(SUBSETS) if name == "LocalPairs" else ["default"]
    for subset in subsets:
        suite = find(f"mteb:{name}/{subset}")
        summary = next(iter(evaluate(model, suite, load(suite)).result.summary.values()))
        assert {measure: summary[measure] for measure in NAMES} == pytest.approx(
            {measure: expected[subset][theirs] for measure, theirs in NAMES.items()}, abs=1e-4
        )
    assert any(0 < expected[subset]["ndcg_at_10"] < 1 for subset in subsets)


def test_a_query_is_left_out_of_its_own_ranking_only_where_the_task_says_so(registered):
    assert len(load(find("mteb:LocalPlain")).excluded) == 0
    excluding = load(find("mteb:LocalExcluding"))
    assert [excluding.queries.ids[q] for q in excluding.excluded.query] == ["d7"]


def test_a_task_of_pairs_is_a_group_with_a_suite_for_each(registered):
    group = look_up("mteb:LocalPairs")
    assert isinstance(group, Group)
    assert group.suites == ("mteb:LocalPairs/ara-deu", "mteb:LocalPairs/deu-deu", "mteb:LocalPairs/eng-eng")
    crossing = find("mteb:LocalPairs/ara-deu")
    assert (crossing.languages, list(crossing.settings)) == (("ar", "de"), ["cross-lingual"])
    collection = load(crossing)
    assert (set(collection.queries.languages), set(collection.documents.languages)) == ({"ar"}, {"de"})


@pytest.mark.parametrize(
    ("task", "subset", "queries", "documents"),
    [
        ("MLQARetrieval", "ara-deu", "de", "ar"),
        ("BelebeleRetrieval", "acm_Arab-eng_Latn", "en", "acm"),
        ("BelebeleRetrieval", "zho_Hant-eng_Latn", "en", "zh-Hant"),
        ("XPQARetrieval", "eng-ara", "ar", "en"),
        ("XPQARetrieval", "cmn-cmn", "zh", "zh"),
        ("CUREv1", "es", "es", "en"),
        ("CrossLingualSemanticDiscriminationWMT19", "deu-fra", "de", "fr"),
        ("MKQARetrieval", "no", "no", "no"),
        ("MIRACLRetrievalHardNegatives", "sw", "sw", "sw"),
        ("XQuADRetrieval", "zh", "zh", "zh"),
        ("SciFact", "default", "en", "en"),
    ],
)
def test_which_side_a_subset_names_first_is_known_for_each_task(task, subset, queries, documents):
    assert subset_languages(task, mteb.get_task(task).metadata)[subset] == (queries, documents)


def test_every_text_retrieval_task_of_mteb_is_declared_without_its_data():
    for task in mteb.get_tasks(task_types=["Retrieval"], modalities=["text"], exclusive_modality_filter=True):
        pairs = subset_languages(task.metadata.name, task.metadata)
        assert pairs
        assert all(code for pair in pairs.values() for code in pair)
        assert look_up(f"mteb:{task.metadata.name}").name.startswith("mteb.")


def test_one_task_of_distinct_languages_is_one_suite():
    suite = find("mteb:MIRACLRetrievalHardNegatives")
    assert set(suite.languages) == set(find("miracl-hard-negatives").languages)
    assert list(suite.settings) == ["monolingual"]


@pytest.mark.parametrize(
    ("tag", "code"),
    [("eng-Latn", "en"), ("eng", "en"), ("cmn-Hans", "zh"), ("zho-Hant", "zh-Hant"), ("jpn-Jpan", "ja"),
     ("kor-Hang", "ko"), ("swh_Latn", "sw"), ("arb_Latn", "ar-Latn"), ("acm-Arab", "acm"), ("yor-Latn", "yo"),
     ("nob-Latn", "no")],
)  # fmt: skip
def test_codes_are_mapped_to_ours_once(tag, code):
    assert normalise(tag) == code


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mteb:XQuADRetrievl", r"unknown task of mteb 'XQuADRetrievl': did you mean XQuADRetrieval"),
        ("mteb:XQuADRetrieval/xx", r"unknown subset of XQuADRetrieval 'xx'"),
        ("mteb:STS17", "not a retrieval of texts but STS"),
        ("mteb:", "expected mteb:TASK"),
    ],
)
def test_what_mteb_does_not_have_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        look_up(name)


def test_a_split_that_a_task_lacks_is_refused(registered):
    with pytest.raises(InputError, match="no split 'dev'; it has test"):
        load(find("mteb:LocalPlain@dev"))


def test_a_task_that_is_a_mean_of_tasks_is_their_group():
    group = look_up("mteb:CQADupstackRetrieval")
    assert isinstance(group, Group)
    assert len(group.suites) == 12
    assert "mteb:CQADupstackGisRetrieval" in group.suites
