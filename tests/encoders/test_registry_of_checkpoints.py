"""What mteb's registry says about a checkpoint whose own files are silent, and about every model that it has."""

from __future__ import annotations

import json
import shutil
import sys

import mteb
import pytest
from mteb.models.instruct_wrapper import InstructSentenceTransformerModel
from mteb.models.model_meta import ScoringFunction
from mteb_stubs import arriving, registered, save_bert, save_static, sent_by_mteb

from xlir_bench.collection import Texts
from xlir_bench.encoders import Options, bundled, encode_texts, hub, mteb_registry, resolve
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.encoders.manifest import read
from xlir_bench.encoders.resolve import package_folder
from xlir_bench.errors import InputError

E5 = "intfloat/multilingual-e5-small"
PROMPTS = {"query": "query: ", "document": "passage: "}
SAID = (
    f"{E5}: the checkpoint has no prompts; mteb's registry has: query 'query: ', document 'passage: '; used "
    "(--no-registry for none)"
)


@pytest.fixture
def on_the_hub(monkeypatch, tmp_path):
    """A folder that the hub gives for any name."""
    folder = save_static(tmp_path / "snapshot")
    monkeypatch.setattr(hub, "snapshot", lambda *_: folder)
    return folder


def configure(folder, **fields):
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_checkpoint_without_prompts_gets_those_of_the_registry_and_it_is_said(on_the_hub, monkeypatch, capsys):
    seen = arriving(monkeypatch)
    model = resolve(E5, "cpu")
    assert model.info.prompts == PROMPTS
    assert [line for line in capsys.readouterr().err.splitlines() if "prompts" in line] == [
        f"xlir-bench: warning: {SAID}"
    ]
    seen.clear()
    texts = Texts(["0"], ["w1 w2"], ["en"])
    encode_texts(model.retriever, model.info, texts, "query")
    encode_texts(model.retriever, model.info, texts, "document")
    assert set(seen) <= {"query: w1 w2", "passage: w1 w2"}


def test_no_registry_leaves_them_out(on_the_hub, capsys):
    assert resolve(E5, "cpu", Options(registry=False)).info.prompts == {"query": "", "document": ""}
    assert "registry" not in capsys.readouterr().err


def test_prompts_of_the_checkpoint_count(on_the_hub, capsys):
    configure(on_the_hub, prompts={"query": "own: ", "document": ""})
    assert resolve(E5, "cpu").info.prompts["query"] == "own: "
    assert "registry" not in capsys.readouterr().err


def test_given_prompts_count_and_only_the_open_role_is_looked_up(on_the_hub, capsys):
    options = Options(query_prompt="given: ")
    assert resolve(E5, "cpu", options).info.prompts == {"query": "given: ", "document": "passage: "}
    assert "has: document 'passage: '; used" in capsys.readouterr().err
    both = Options(query_prompt="", document_prompt="")
    assert resolve(E5, "cpu", both).info.prompts == {"query": "", "document": ""}
    assert "prompts" not in capsys.readouterr().err


def test_a_snapshot_in_the_hubs_cache_is_looked_up_by_the_name_of_its_repository(tmp_path, capsys):
    folder = tmp_path / "models--intfloat--multilingual-e5-small" / "snapshots" / "0123"
    save_static(folder)
    assert resolve(str(folder), "cpu").info.prompts == PROMPTS
    assert SAID in capsys.readouterr().err
    elsewhere = tmp_path / "multilingual-e5-small"
    shutil.copytree(folder, elsewhere)
    assert resolve(str(elsewhere), "cpu").info.prompts == {"query": "", "document": ""}


def test_a_manifest_of_a_hub_model_without_prompts_is_looked_up_too(on_the_hub, tmp_path, capsys):
    (tmp_path / "submission.yaml").write_text(
        f"{{name: e5, adapter: sentence-transformers, licence: MIT, source: {{hub: {E5}, revision: '{'0' * 40}'}}}}"
    )
    assert resolve(str(tmp_path), "cpu").info.prompts == PROMPTS
    assert SAID in capsys.readouterr().err


def test_an_unknown_name_and_one_without_prompts_change_nothing(on_the_hub, capsys):
    for name in ("nobody/knows-this", "sentence-transformers/LaBSE"):
        assert resolve(name, "cpu").info.prompts == {"query": "", "document": ""}
    assert "registry" not in capsys.readouterr().err


def test_without_mteb_a_warning_says_that_nothing_was_looked_up(on_the_hub, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mteb", None)
    assert resolve(E5, "cpu").info.prompts == {"query": "", "document": ""}
    assert "mteb is not installed, so prompts could not be looked up" in capsys.readouterr().err


def test_the_instruction_of_an_instruct_model_is_what_mteb_sends(monkeypatch, tmp_path, capsys):
    seen = arriving(monkeypatch)
    folder = save_static(tmp_path / "model")
    kwargs = {"instruction_template": "Instruct: {instruction}\nQuery: ", "apply_instruction_to_passages": False}
    name = registered(monkeypatch, InstructSentenceTransformerModel, folder, kwargs)
    sent, _ = sent_by_mteb(name, seen)
    monkeypatch.setattr(hub, "snapshot", lambda *_: folder)
    query = resolve(name, "cpu").info.prompts["query"]
    assert f"{query}w1 w2" in sent
    assert query.startswith("Instruct: Retrieve")


def test_a_transformers_checkpoint_takes_the_similarity_of_the_registry(monkeypatch, tmp_path, capsys):
    folder = save_bert(tmp_path)
    monkeypatch.setattr(hub, "snapshot", lambda *_: folder)
    assert resolve("facebook/contriever-msmarco", "cpu").info.similarity == "dot"
    assert "the checkpoint declares no similarity; mteb's registry says dot; used" in capsys.readouterr().err
    assert resolve("facebook/contriever-msmarco", "cpu", Options(similarity="euclidean")).info.similarity == "euclidean"
    assert resolve("facebook/contriever-msmarco", "cpu", Options(registry=False)).info.similarity == "cosine"
    assert "declares no similarity; measured with cosine: give --similarity" in capsys.readouterr().err


def test_a_checkpoint_of_sentence_transformers_counts_where_it_declares_a_similarity(monkeypatch, tmp_path, capsys):
    folder = save_static(tmp_path / "model", similarity_fn_name="manhattan")
    monkeypatch.setattr(hub, "snapshot", lambda *_: folder)
    assert resolve("facebook/contriever-msmarco", "cpu").info.similarity == "manhattan"
    configure(folder, similarity_fn_name=None)
    assert resolve("facebook/contriever-msmarco", "cpu").info.similarity == "dot"


@pytest.mark.parametrize(("name", "kind"), [("naver/splade-v3", "sparse"), ("colbert-ir/colbertv2.0", "multi-vector")])
def test_a_checkpoint_that_the_registry_knows_as_another_kind_is_refused(name, kind, on_the_hub):
    with pytest.raises(InputError, match=kind):
        resolve(name, "cpu")


def test_nothing_would_be_added_to_a_submission_that_comes_with_the_package(tmp_path):
    checked = 0
    for name in bundled():
        manifest = read(package_folder("submissions") / name / "submission.yaml")
        facts = mteb_registry.facts_of(manifest.source.hub) if manifest.source.hub else None
        if facts is None:
            continue
        checked += 1
        assert manifest.similarity == facts.similarity
        assert (manifest.prompts.model_dump() if manifest.prompts else {"query": "", "document": ""}) == facts.prompts
    assert checked >= 5


def test_every_model_of_the_registry_is_compared_as_it_declares_or_refused_by_name():
    declared, refused = {}, {}
    for meta in mteb.get_model_metas():
        try:
            declared[meta.name] = mteb_registry.declared_similarity(meta)
        except InputError as error:
            refused[meta.name] = str(error)
            continue
        stated = meta.similarity_fn_name
        assert declared[meta.name] == (stated.value if stated is not None else None)
        assert "dense" in meta.model_type or "router" in meta.model_type
    reasons = ("sparse", "multi-vector", "cross-encoder", "fusion", "not text")
    assert all(any(reason in message for reason in reasons) for message in refused.values())
    dot = [meta.name for meta in mteb.get_model_metas() if meta.similarity_fn_name is ScoringFunction.DOT_PRODUCT]
    assert len(dot) >= 29
    assert declared["facebook/contriever-msmarco"] == "dot"
    assert declared["sentence-transformers/multi-qa-mpnet-base-dot-v1"] == "dot"
    assert all(declared.get(name) == "dot" or name in refused for name in dot)


def test_every_instruct_model_of_the_registry_gets_an_instruction():
    checked = 0
    for meta in mteb.get_model_metas():
        if getattr(meta.loader, "__name__", "") == "InstructSentenceTransformerModel" and meta.model_type == ["dense"]:
            facts = mteb_registry.facts_of(meta.name)
            assert facts.prompts["query"], meta.name
            checked += 1
    assert checked > 60


def test_prompts_by_role_are_found_for_every_model_that_has_them():
    for meta in mteb.get_model_metas():
        prompts = meta.loader_kwargs.get("model_prompts")
        if getattr(meta.loader, "__name__", "") != "SentenceTransformerEncoderWrapper" or not prompts:
            continue
        if meta.model_type != ["dense"] or not {"query", "document"} >= set(prompts):
            continue
        expected = {"query": prompts.get("query", ""), "document": prompts.get("document", "")}
        assert mteb_registry.facts_of(meta.name).prompts == expected


def test_settings_that_say_everything_load_no_registry(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mteb", None)
    settings = Settings(prompts=PROMPTS, similarity="cosine")
    assert mteb_registry.completed(settings, tmp_path, E5) is settings
