"""Only a dense encoder is measured as one; every other kind is named and refused before its weights are read."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from kinds_of_models import (
    rewrite,
    save_bert,
    save_cross_encoder,
    save_decoder,
    save_dense,
    save_multi_vector,
    save_sparse,
    save_t5,
)
from sentence_transformers import SentenceTransformer

from xlir_bench.cli.main import cli
from xlir_bench.encoders import Options, resolve
from xlir_bench.encoders.kinds import kind_of
from xlir_bench.errors import InputError

TEXTS = ["w1", "w2 w3 w4 w5 w6", "w7 " * 15, "w8 w9"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders by name, one of each kind."""
    root = tmp_path_factory.mktemp("kinds")

    def folder(name):
        (root / name).mkdir()
        return root / name

    found = {
        "bert": save_bert(folder("bert")),
        "masked": save_bert(folder("masked"), "BertForMaskedLM"),
        "classes": save_bert(folder("classes"), "BertForSequenceClassification", num_labels=1),
        "tokens": save_bert(folder("tokens"), "BertForTokenClassification"),
        "left-to-right": save_bert(folder("left-to-right"), "BertLMHeadModel", is_decoder=True),
        "causal": save_decoder(folder("causal")),
        "causal-body": save_decoder(folder("causal-body"), "Qwen3Model"),
        "t5": save_t5(folder("t5")),
    }
    found["dense"] = save_dense(folder("dense"), found["bert"])
    found["last-token"] = save_dense(folder("last-token"), found["causal"], "lasttoken")
    found["sparse"] = save_sparse(folder("sparse"), found["masked"])
    found["multi-vector"] = save_multi_vector(folder("multi-vector"), found["bert"])
    found["cross"] = save_cross_encoder(folder("cross"), found["classes"])
    return found


def copied(saved, name, tmp_path):
    return shutil.copytree(saved[name], tmp_path / f"copy-of-{name}")


def encode(model):
    return model.retriever.encode(TEXTS, role="query", languages=["en"] * len(TEXTS))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sparse", "sparse"),
        ("multi-vector", "multi-vector"),
        ("cross", "reranker"),
        ("classes", "reranker"),
        ("tokens", "classifier"),
        ("causal", "decoder"),
        ("causal-body", "decoder"),
        ("left-to-right", "decoder"),
        ("t5", "encoder-decoder"),
        ("bert", "dense"),
        ("masked", "dense"),
        ("dense", "dense"),
        ("last-token", "dense"),
    ],
)
def test_the_kind_is_read_from_what_the_library_saved(saved, name, kind):
    assert kind_of(saved[name]).kind == kind


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sparse", "is a sparse encoder"),
        ("multi-vector", "is a multi-vector model"),
        ("cross", "is a reranker"),
        ("classes", "is a reranker"),
        ("causal", "is a causal language model"),
        ("t5", "is a model with an encoder and a decoder"),
    ],
)
def test_run_names_the_kind_in_one_line_and_exits_with_2(saved, name, words, tmp_path):
    result = CliRunner().invoke(cli, ["run", str(saved[name]), "--output", str(tmp_path)], standalone_mode=False)
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_code == 2
    message = str(result.exception)
    assert words in message
    assert "\n" not in message
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("name", ["sparse", "multi-vector", "cross"])
def test_the_kind_is_known_without_config_sentence_transformers_json(saved, name, tmp_path):
    # What sentence-transformers 5.0 and before saved says nothing of the kind there.
    folder = copied(saved, name, tmp_path)
    rewrite(folder / "config_sentence_transformers.json", model_type=None)
    if name == "cross":
        (folder / "modules.json").unlink()
    expected = kind_of(saved[name]).kind
    assert kind_of(folder).kind == expected
    (folder / "config_sentence_transformers.json").unlink()
    assert kind_of(folder).kind == expected


def test_a_refusal_reads_no_weights(saved, tmp_path):
    folder = copied(saved, "sparse", tmp_path)
    for path in folder.rglob("*.safetensors"):
        path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="sparse encoder"):
        resolve(str(folder), "cpu")


@pytest.mark.parametrize(
    ("file", "content", "kind"),
    [
        ("config_sentence_transformers.json", {"model_type": "ColBERT"}, "multi-vector"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "MaxSim"}, "multi-vector"),
        ("config_sentence_transformers.json", {"skiplist_words": ["."]}, "multi-vector"),
        ("config.json", {"architectures": ["HF_ColBERT"]}, "multi-vector"),
        ("config.json", {"architectures": ["XLMRobertaForSequenceClassification"]}, "reranker"),
        ("config.json", {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}, "decoder"),
        ("config.json", {"architectures": ["MistralModel"], "model_type": "mistral"}, "decoder"),
        ("config.json", {"architectures": None, "model_type": "llama"}, "decoder"),
        ("config.json", {"architectures": ["MarianMTModel"], "model_type": "marian"}, "encoder-decoder"),
        ("config.json", {"architectures": ["Qwen2ForCausalLM"], "is_causal": False}, "dense"),
        ("config.json", {"architectures": ["XLMWithLMHeadModel"], "model_type": "xlm"}, "dense"),
        ("config.json", {"architectures": ["NewModel", "NewForTokenClassification"], "model_type": "new"}, "dense"),
        ("config.json", {"architectures": ["T5EncoderModel"], "is_encoder_decoder": True}, "dense"),
    ],
)
def test_the_kind_by_what_published_files_say(tmp_path, file, content, kind):
    (tmp_path / file).write_text(json.dumps(content))
    assert kind_of(tmp_path).kind == kind


@pytest.mark.parametrize(
    ("modules", "kind"),
    [
        (["sentence_transformers.models.Transformer", "pylate.models.Dense.Dense"], "multi-vector"),
        (["sentence_transformers.sparse_encoder.models.MLMTransformer"], "sparse"),
        (["sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"], "dense"),
        (["sentence_transformers.models.Transformer", "sentence_transformers.sparse_encoder.models.CSR"], "sparse"),
        (["sentence_transformers.models.Transformer", "sentence_transformers.cross_encoder.X"], "reranker"),
    ],
)
def test_the_kind_by_the_classes_in_modules_json(tmp_path, modules, kind):
    listing = [{"type": name, "path": f"{row}"} for row, name in enumerate(modules)]
    (tmp_path / "modules.json").write_text(json.dumps(listing))
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    assert kind_of(tmp_path).kind == kind


def test_a_router_with_sparse_modules_is_sparse(tmp_path):
    kinds = {"query_0_X": "sentence_transformers.sparse_encoder.modules.sparse_static_embedding.SparseStaticEmbedding"}
    router = "sentence_transformers.base.modules.router.Router"
    (tmp_path / "modules.json").write_text(json.dumps([{"type": router, "path": ""}]))
    (tmp_path / "router_config.json").write_text(json.dumps({"types": kinds, "structure": {"query": ["query_0_X"]}}))
    assert kind_of(tmp_path).kind == "sparse"


def test_artifact_metadata_is_colbert(saved, tmp_path):
    folder = copied(saved, "bert", tmp_path)
    (folder / "artifact.metadata").write_text("{}")
    assert kind_of(folder).kind == "multi-vector"


def test_a_masked_model_called_splade_is_refused_unless_pooling_is_given(saved, tmp_path):
    folder = shutil.copytree(saved["masked"], tmp_path / "splade-v3")
    with pytest.raises(InputError, match=r"sparse encoder.*splade-v3.*--pooling"):
        resolve(str(folder), "cpu")
    assert encode(resolve(str(folder), "cpu", Options(pooling="cls"))).shape == (4, 16)


def test_an_unknown_model_type_is_named(saved, tmp_path):
    folder = copied(saved, "dense", tmp_path)
    rewrite(folder / "config_sentence_transformers.json", model_type="OmniEncoder")
    with pytest.raises(InputError, match="model_type 'OmniEncoder' is not known"):
        resolve(str(folder), "cpu")


@pytest.mark.parametrize("name", ["bert", "masked"])
def test_a_bare_encoder_is_taken_with_a_warning_that_pooling_is_a_guess(saved, name, caplog):
    with caplog.at_level(logging.WARNING):
        resolve(str(saved[name]), "cpu")
    warnings = [record.message for record in caplog.records if record.name.startswith("xlir_bench")]
    assert sum("pooling" in warning for warning in warnings) == 1
    assert sum("declares no similarity" in warning for warning in warnings) == 1
    caplog.clear()
    resolve(str(saved[name]), "cpu", Options(pooling="cls", similarity="cosine"))
    assert not [record for record in caplog.records if record.name.startswith("xlir_bench")]


def test_a_pooling_module_s_configuration_decides_for_a_bare_encoder(saved, tmp_path):
    folder = copied(saved, "bert", tmp_path)
    (folder / "1_Pooling").mkdir()
    declared = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(declared))
    model = resolve(str(folder), "cpu")
    assert model.info.details["pooling"] == "cls"
    np.testing.assert_array_equal(encode(model), encode(resolve(str(saved["bert"]), "cpu", Options(pooling="cls"))))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": ["mean", "max"]}))
    with pytest.raises(InputError, match=r"mean and max, for which the folder needs a modules\.json"):
        resolve(str(folder), "cpu")


@pytest.mark.parametrize("pooling", [None, "mean", "cls"])
@pytest.mark.parametrize("name", ["causal", "causal-body"])
def test_a_causal_checkpoint_has_no_pooling_but_that_of_its_last_token(saved, name, pooling):
    with pytest.raises(InputError, match="--pooling last-token"):
        resolve(str(saved[name]), "cpu", Options(pooling=pooling))


@pytest.mark.parametrize("name", ["causal", "causal-body"])
def test_last_token_pooling_equals_that_of_sentence_transformers(saved, name, tmp_path):
    model = resolve(str(saved[name]), "cpu", Options(pooling="last-token"))
    library = SentenceTransformer(str(save_dense(tmp_path / "st", saved[name], "lasttoken")), device="cpu")
    np.testing.assert_allclose(encode(model), library.encode(TEXTS), atol=1e-5)
    together, alone = encode(model), model.retriever.encode([TEXTS[0]], role="query", languages=["en"])
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_decoder_that_sentence_transformers_describes_is_dense(saved, side, tmp_path):
    folder = copied(saved, "last-token", tmp_path)
    rewrite(folder / "tokenizer_config.json", padding_side=side)
    model = resolve(str(folder), "cpu")
    np.testing.assert_allclose(encode(model), SentenceTransformer(str(folder), device="cpu").encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize(("body", "kind"), [("sparse", "sparse encoder"), ("multi-vector", "multi-vector model")])
def test_an_object_of_another_kind_from_a_factory_is_refused(saved, body, kind, tmp_path):
    cls = {"sparse": "SparseEncoder", "multi-vector": "MultiVectorEncoder"}[body]
    file = tmp_path / "factory.py"
    file.write_text(
        f"from sentence_transformers import {cls}\ndef make():\n    return {cls}({str(saved[body])!r}, device='cpu')\n"
    )
    with pytest.raises(InputError, match=f"the factory returned a {kind}"):
        resolve(f"{file}:make")


def test_a_reranker_from_a_factory_is_refused(saved, tmp_path):
    file = tmp_path / "factory.py"
    file.write_text(
        "from sentence_transformers import CrossEncoder\n"
        f"def make():\n    return CrossEncoder({str(saved['cross'])!r}, device='cpu')\n"
    )
    with pytest.raises(InputError, match="the factory returned a reranker"):
        resolve(f"{file}:make")
