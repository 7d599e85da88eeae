"""The table of well-known checkpoints in docs/encoders.md: regenerated, and against the libraries that it speaks of."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import mteb
import pytest
from kinds_of_models import rewrite, save_bert, save_decoder
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

from xlir_bench.encoders import Options, resolve
from xlir_bench.errors import InputError

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "checkpoints" / "table.py"
spec = importlib.util.spec_from_file_location("checkpoints_table", SCRIPT)
script = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = script
spec.loader.exec_module(script)

FIXTURES = script.fixtures()
ROWS = {fixture["name"]: script.row_of(fixture) for fixture in FIXTURES}
DENSE = [fixture for fixture in FIXTURES if ROWS[fixture["name"]].kind == "dense"]
CONFIG = "config_sentence_transformers.json"


def names(fixtures):
    return [fixture["name"] for fixture in fixtures]


@pytest.fixture(scope="module")
def bodies(tmp_path_factory):
    root = tmp_path_factory.mktemp("bodies")
    for name in ("bert", "decoder"):
        (root / name).mkdir()
    return {"bert": save_bert(root / "bert"), "decoder": save_decoder(root / "decoder")}


def built(fixture, bodies, folder):
    """A tiny checkpoint with the fields of a published one; its body is of another size, its code transformers' own."""
    if "modules" not in fixture:
        return save_bert(folder)
    decoder = fixture["pooling"] == "lasttoken"
    made = {"Dense": lambda: Dense(16, 16), "Normalize": Normalize}
    modules = [Transformer(str(bodies["decoder" if decoder else "bert"])), Pooling(16, fixture["pooling"])]
    modules += [made[name]() for name in fixture["modules"][2:]]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder))
    about = fixture.get(CONFIG)
    (folder / CONFIG).unlink()
    if about is not None:
        (folder / CONFIG).write_text(json.dumps(about))
    if architectures := fixture.get("config.json", {}).get("architectures"):
        rewrite(folder / "config.json", architectures=architectures)
    return folder


def test_the_page_has_the_table_that_the_command_writes():
    assert f"{script.BEGIN}\n{script.table()}\n{script.END}" in script.PAGE.read_text("utf-8")


def test_it_has_the_checkpoints_that_people_ask_for():
    assert len(set(ROWS)) == len(FIXTURES) >= 20
    families = (
        "e5-small",
        "e5-large-instruct",
        "bge-m3",
        "gte",
        "jina",
        "nomic",
        "LaBSE",
        "contriever",
        "-dot",
        "stella",
    )
    for family in (*families, "Qwen3-Embedding", "arctic", "mxbai", "splade", "colbert", "reranker"):
        assert any(family in name for name in ROWS), family
    assert all(fixture["source"] for fixture in FIXTURES)


@pytest.mark.parametrize("fixture", DENSE, ids=names(DENSE))
def test_a_dense_checkpoint_is_what_sentence_transformers_loads(fixture, bodies, tmp_path):
    row, folder = ROWS[fixture["name"]], built(fixture, bodies, tmp_path / "st" if "modules" in fixture else tmp_path)
    model = resolve(str(folder), "cpu", Options(similarity=row.similarity if "similarity" in row.registry else None))
    library = SentenceTransformer(str(folder), device="cpu")
    assert model.info.similarity == row.similarity
    assert "similarity" in row.registry or library.similarity_fn_name == row.similarity
    assert library[1].pooling_mode == {"last-token": "lasttoken"}.get(row.pooling, row.pooling)
    assert tuple(type(module).__name__ for module in list(library)[2:]) == row.modules
    if "prompts" not in row.registry:
        assert model.info.prompts == row.prompts
        # Where the authors used the names that encode_query and encode_document look for, the text is the library's.
        declared = fixture.get(CONFIG, {}).get("prompts", {})
        for role in ("query", "document"):
            if role in declared:
                assert library.prompts[role] == row.prompts[role]


REFUSED = [fixture for fixture in FIXTURES if ROWS[fixture["name"]].kind != "dense"]


@pytest.mark.parametrize("fixture", REFUSED, ids=names(REFUSED))
def test_another_kind_is_refused(fixture, tmp_path):
    folder = script.lay_out(fixture, tmp_path)
    words = {"sparse": "sparse encoder", "decoder": "causal language model"}
    with pytest.raises(InputError, match=words.get(ROWS[fixture["name"]].kind, ROWS[fixture["name"]].kind)):
        resolve(str(folder), "cpu")


REGISTERED = sorted(set(ROWS) & {meta.name for meta in mteb.get_model_metas()})
# A reranker that is a bare causal language model says so nowhere in its files: it is refused as the latter.
KINDS = {
    "dense": {"dense"},
    "sparse": {"sparse"},
    "late-interaction": {"multi-vector"},
    "cross-encoder": {"reranker", "decoder"},
}


@pytest.mark.parametrize("name", REGISTERED)
def test_kind_similarity_and_prompts_are_those_of_mteb_s_registry(name):
    meta, row = mteb.get_model_meta(name, fetch_from_hf=False), ROWS[name]
    assert row.kind in set().union(*(KINDS[str(kind)] for kind in meta.model_type))
    if row.kind == "dense":
        assert row.similarity == meta.similarity_fn_name
        given = (meta.loader_kwargs or {}).get("model_prompts", {})
        if meta.loader.__name__ in {"SentenceTransformerEncoderWrapper", "NomicWrapper"} and given:
            assert row.prompts == {role: given.get(role, "") for role in ("query", "document")}


def test_most_of_them_are_registered():
    assert len(REGISTERED) >= 25
