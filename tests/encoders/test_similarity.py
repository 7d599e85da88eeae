"""Where the similarity of a model comes from: an option, a manifest, what an object declares, what it computes."""

from __future__ import annotations

import json
import sys
from textwrap import dedent

import numpy as np
import pytest
from click.testing import CliRunner
from mteb_stubs import registered, save_bert, save_static

from xlir_bench.cli.main import cli
from xlir_bench.encoders import Options, resolve
from xlir_bench.encoders.factory import adapted
from xlir_bench.encoders.similarity import KNOWN, computed, named
from xlir_bench.errors import InputError

INTERFACES = {
    "ours": """
        def encode(self, texts, *, role, languages):
            return vectors(texts)
    """,
    "beir": """
        def encode_queries(self, queries, batch_size, **kwargs):
            return vectors(queries)

        def encode_corpus(self, corpus, batch_size, **kwargs):
            return vectors([document["text"] for document in corpus])
    """,
    "mteb": """
        mteb_model_meta = None

        def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs):
            return vectors([text for batch in inputs for text in batch["text"]])
    """,
}
HEAD = r"""
    import re
    import numpy as np

    def vectors(texts):
        found = [re.search(r"\[([-0-9. ]+)\]", text) for text in texts]
        return np.array([m[1].split() if m else [1, len(t) / 100] for m, t in zip(found, texts)], np.float32)

    class Model:
"""
FIGURES = {"cosine": 0.6309, "dot": 1.0, "euclidean": 0.5, "manhattan": 0.4307}
"""nDCG@10 of the collection below, 1 / log2(1 + rank): the relevant document is at rank 2, 1, 3 and 4."""


def undeclared(err: str) -> list[str]:
    return [
        line for line in err.splitlines() if "declares no similarity; measured with cosine: give --similarity" in line
    ]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a collection whose vectors stand in its texts: the query is (1, 0)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "en"
    (folder / "qrels").mkdir(parents=True)
    # The relevant document is the longest. Its distance is 4.12 or, by the sum of differences, 5; that of d3 is 4.5.
    documents = {"d0": "[5 1]", "d1": "[1 0]", "d2": "[1 0.5]", "d3": "[-3.5 0]"}
    lines = [json.dumps({"_id": name, "title": "", "text": text}) for name, text in documents.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q0", "text": "[1 0]"}) + "\n")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    return tmp_path


def write(place, body, interface="ours"):
    source = dedent(HEAD).rstrip() + "\n"
    lines = [*dedent(INTERFACES[interface]).strip().splitlines(), "", *dedent(body).strip().splitlines()]
    source += "".join(f"    {line}\n" for line in lines) + "\ndef build():\n    return Model()\n"
    (place / "model.py").write_text(source)
    return "model.py:build"


def ndcg(place, model, *options):
    result = CliRunner().invoke(cli, ["run", model, "--suite", "en", "--output", "out", "--json", *options])
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout.strip().splitlines()[-1])
    return content["model"]["similarity"], content["summary"]["monolingual"]["nDCG@10"], result.stderr


@pytest.mark.parametrize("similarity", KNOWN)
@pytest.mark.parametrize("interface", INTERFACES)
def test_a_factorys_object_declares_it_and_the_figure_follows(interface, similarity, place):
    found, figure, err = ndcg(place, write(place, f'similarity = "{similarity}"', interface))
    assert (found, round(figure, 4)) == (similarity, FIGURES[similarity])
    assert not undeclared(err)


@pytest.mark.parametrize("similarity", KNOWN)
def test_the_option_counts_before_what_the_object_declares(similarity, place):
    model = write(place, 'similarity = "cosine"')
    assert ndcg(place, model, "--similarity", similarity)[:2] == (
        similarity,
        pytest.approx(FIGURES[similarity], abs=1e-4),
    )


@pytest.mark.parametrize("interface", INTERFACES)
def test_where_nothing_is_declared_it_is_cosine_with_one_warning(interface, place):
    found, figure, err = ndcg(place, write(place, "", interface))
    assert (found, round(figure, 4)) == ("cosine", 0.6309)
    assert len(undeclared(err)) == 1


FUNCTIONS = {
    "cosine": "a / np.linalg.norm(a, axis=1)[:, None] @ (b / np.linalg.norm(b, axis=1)[:, None]).T",
    "dot": "a @ b.T",
    "euclidean": "-np.sqrt(((a[:, None] - b[None]) ** 2).sum(2))",
    "manhattan": "-np.abs(a[:, None] - b[None]).sum(2)",
}


@pytest.mark.parametrize("similarity", KNOWN)
@pytest.mark.parametrize("interface", INTERFACES)
def test_a_function_of_the_object_is_tried_on_vectors(interface, similarity, place):
    body = f"def similarity(self, a, b):\n    return {FUNCTIONS[similarity]}"
    assert resolve(write(place, body, interface), "cpu").info.similarity == similarity


@pytest.mark.parametrize("similarity", KNOWN)
@pytest.mark.parametrize("library", ["sentence_transformers.util", "mteb.similarity_functions"])
def test_functions_of_the_libraries_are_recognised(library, similarity):
    functions = pytest.importorskip(library)
    name = {"cosine": "cos_sim", "dot": "dot_score"}.get(similarity, f"{similarity}_sim")
    if not hasattr(functions, name):
        assert (library, similarity) == ("mteb.similarity_functions", "manhattan")
        return
    assert computed(getattr(functions, name), "a model") == similarity


@pytest.mark.parametrize("body", ["(a @ b.T) ** 3", "a[0] @ b[0]", "np.zeros((len(a), len(b)))", "1 / 0"])
def test_a_function_that_is_none_of_the_four_is_refused_unless_one_is_chosen(body, place):
    model = write(place, f"def similarity(self, a, b):\n    return {body}")
    with pytest.raises(InputError, match=r"similarity\(\).*--similarity cosine\|dot\|euclidean\|manhattan"):
        resolve(model, "cpu")
    assert resolve(model, "cpu", Options(similarity="dot")).info.similarity == "dot"


def test_a_function_that_computes_something_else_than_is_declared_is_refused(place):
    body = 'similarity_fn_name = "dot"\ndef similarity(self, a, b):\n    return -np.abs(a[:, None] - b[None]).sum(2)'
    with pytest.raises(InputError, match=r"declares dot, but its function similarity\(\) computes manhattan"):
        resolve(write(place, body), "cpu")


def test_names_and_enumerations_of_the_libraries():
    from sentence_transformers.util.similarity import SimilarityFunction

    scoring = pytest.importorskip("mteb.models.model_meta").ScoringFunction
    for member in SimilarityFunction:
        if member.value.lower().endswith("maxsim"):
            with pytest.raises(InputError, match=f"multi-vector model.*{member.value}"):
                named(member, "m")
        else:
            assert named(member, "m") == member.value
    assert named(scoring.DOT_PRODUCT, "m") == "dot"
    assert named(scoring.EUCLIDEAN, "m") == "euclidean"
    assert named("cos_sim", "m") == "cosine"
    assert named(None, "m") is None
    with pytest.raises(InputError, match="multi-vector model"):
        named(scoring.MAX_SIM, "m")
    with pytest.raises(InputError, match="function of its own"):
        named(scoring.CUSTOM, "m")
    with pytest.raises(InputError, match="compares vectors by 'jaccard'; known are cosine, dot"):
        named("jaccard", "m")


@pytest.mark.parametrize("similarity", KNOWN)
def test_a_sentence_transformers_model_declares_it(similarity, tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = save_static(tmp_path / "model", similarity_fn_name=similarity)
    assert resolve(str(folder), "cpu").info.similarity == similarity
    assert adapted(SentenceTransformer(str(folder), device="cpu"), "m").similarity == similarity
    assert resolve(str(folder), "cpu", Options(similarity="dot")).info.similarity == "dot"


@pytest.mark.parametrize("similarity", KNOWN)
def test_a_manifest_counts_before_the_model_and_the_option_before_both(similarity, tmp_path):
    save_static(tmp_path / "model", similarity_fn_name="dot")
    (tmp_path / "submission.yaml").write_text(
        "{name: m, adapter: sentence-transformers, licence: MIT, source: {folder: model}, "
        f"similarity: {similarity}}}"
    )
    assert resolve(str(tmp_path), "cpu").info.similarity == similarity
    assert resolve(str(tmp_path), "cpu", Options(similarity="manhattan")).info.similarity == "manhattan"


def test_a_transformers_folder_declares_none(tmp_path, capsys):
    assert resolve(str(save_bert(tmp_path)), "cpu").info.similarity == "cosine"
    assert len(undeclared(capsys.readouterr().err)) == 1


def test_precomputed_vectors_declare_none(tmp_path, capsys):
    for role in ("query", "document"):
        np.save(tmp_path / f"{role}.npy", np.ones((1, 2), np.float32))
        (tmp_path / f"{role}.ids.txt").write_text("a\n")
    manifest = "{name: v, adapter: precomputed, licence: MIT, source: {embeddings: .}"
    (tmp_path / "submission.yaml").write_text(manifest + "}")
    assert resolve(str(tmp_path), "cpu").info.similarity == "cosine"
    assert len(undeclared(capsys.readouterr().err)) == 1
    (tmp_path / "submission.yaml").write_text(manifest + ", similarity: manhattan}")
    assert resolve(str(tmp_path), "cpu").info.similarity == "manhattan"
    assert resolve(str(tmp_path), "cpu", Options(similarity="dot")).info.similarity == "dot"
    assert not undeclared(capsys.readouterr().err)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_a_model_of_mtebs_registry_is_compared_as_the_registry_says(similarity, monkeypatch, tmp_path, capsys):
    meta = pytest.importorskip("mteb.models.model_meta")
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper as Wrapper

    stated = meta.ScoringFunction(similarity)
    name = registered(monkeypatch, Wrapper, save_static(tmp_path / "m"), {}, similarity_fn_name=stated)
    assert resolve(f"mteb:{name}", "cpu").info.similarity == similarity
    assert ("its checkpoint computes cosine; measured with dot" in capsys.readouterr().err) == (similarity == "dot")


@pytest.mark.parametrize("similarity", KNOWN)
def test_where_the_registry_says_nothing_it_is_what_mteb_would_compute(similarity, monkeypatch, tmp_path):
    pytest.importorskip("mteb")
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper as Wrapper

    folder = save_static(tmp_path / "m", similarity_fn_name=similarity)
    name = registered(monkeypatch, Wrapper, folder, {}, similarity_fn_name=None)
    assert resolve(f"mteb:{name}", "cpu").info.similarity == similarity


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("late-interaction", "MaxSim", "multi-vector model"),
        ("dense", "MaxSim", "multi-vector model"),
        ("dense", "custom", "function of its own"),
        ("cross-encoder", None, "cross-encoder"),
        ("sparse", "dot", "sparse encoder"),
    ],
)
def test_a_model_of_the_registry_that_has_no_vector_per_text_is_refused(kind, name, message, monkeypatch, tmp_path):
    meta = pytest.importorskip("mteb.models.model_meta")

    def wrapper(*arguments, **keywords):
        raise AssertionError("it need not be loaded")

    stated = meta.ScoringFunction(name) if name else None
    known = registered(monkeypatch, wrapper, tmp_path, {}, similarity_fn_name=stated, model_type=[kind])
    with pytest.raises(InputError, match=message):
        resolve(f"mteb:{known}", "cpu", Options(trust_remote_code=True))
