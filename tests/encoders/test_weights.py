"""Which files of a model decide its vectors and may be loaded, however deep they lie."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from kinds_of_models import SPECIAL, rewrite, save_bert, save_dense
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Router
from sentence_transformers.sentence_transformer.modules import LSTM, Pooling, StaticEmbedding, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers

from xlir_bench.encoders import Options, resolve
from xlir_bench.encoders.weights import deciding_files, module_folders
from xlir_bench.errors import InputError


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def routed(bert, tmp_path):
    """A Router of two routes, saved at the root of its folder."""
    words = [*SPECIAL, *(f"w{row}" for row in range(9))]
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = np.random.default_rng(0).standard_normal((len(words), 16)).astype(np.float32)
    router = Router.for_query_document(
        query_modules=[StaticEmbedding(tokenizer, embedding_weights=weights)],
        document_modules=[Transformer(str(bert)), Pooling(16), Dense(16, 16)],
    )
    SentenceTransformer(modules=[router], device="cpu").save_pretrained(str(tmp_path / "routed"))
    return tmp_path / "routed"


def pickled(weights):
    """Put a pickle in the place of a safetensors file."""
    tensors = load_file(weights)
    weights.unlink()
    path = weights.with_name("pytorch_model.bin")
    torch.save(tensors, path)
    return path


def test_every_weight_file_of_a_router_counts(routed):
    names = {path.relative_to(routed).as_posix() for path in deciding_files(routed)}
    everything = {path.relative_to(routed).as_posix() for path in routed.rglob("*.safetensors")}
    assert len(everything) == 3
    assert everything <= names
    fingerprint = resolve(str(routed), "cpu").info.fingerprint
    for name in sorted(everything):
        copy = shutil.copytree(routed, routed.parent / name.replace("/", "-"))
        save_file({key: 2 * tensor for key, tensor in load_file(copy / name).items()}, copy / name, {"format": "pt"})
        assert resolve(str(copy), "cpu").info.fingerprint != fingerprint


@pytest.mark.parametrize("place", ["query_0_StaticEmbedding", "document_0_Transformer", "document_2_Dense"])
def test_pickled_weights_inside_a_router_are_refused_and_converted_once_trusted(routed, place):
    expected = resolve(str(routed), "cpu").retriever.encode(["w1 w2"], role="document", languages=["en"])
    pickled(routed / place / "model.safetensors")
    with pytest.raises(InputError, match=rf"{place}: the weights are pickled only \(pytorch_model\.bin\)"):
        resolve(str(routed), "cpu")
    trusted = resolve(str(routed), "cpu", Options(trust_remote_code=True))
    np.testing.assert_allclose(
        trusted.retriever.encode(["w1 w2"], role="document", languages=["en"]), expected, atol=1e-6
    )
    assert resolve(str(routed), "cpu").info.fingerprint == trusted.info.fingerprint


def test_code_inside_a_router_is_not_run(routed):
    config = json.loads((routed / "router_config.json").read_text())
    config["types"]["document_2_Dense"] = "custom_code.Module"
    (routed / "router_config.json").write_text(json.dumps(config))
    (routed / "custom_code.py").write_text("raise SystemExit('this ran')")
    with pytest.raises(InputError, match=r"custom_code\.Module is code that comes with the model"):
        resolve(str(routed), "cpu")


@pytest.mark.parametrize("outside", ["../elsewhere", "/elsewhere", "a/../../elsewhere"])
def test_a_router_s_module_elsewhere_is_refused(routed, outside):
    config = json.loads((routed / "router_config.json").read_text())
    config["types"][outside] = "sentence_transformers.base.modules.dense.Dense"
    (routed / "router_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="lies outside the model's folder"):
        module_folders(routed)


def test_a_module_that_is_a_link_to_another_place_is_refused(routed):
    shutil.move(routed / "document_2_Dense", routed.parent / "elsewhere")
    (routed / "document_2_Dense").symlink_to(routed.parent / "elsewhere")
    with pytest.raises(InputError, match="lies outside the model's folder"):
        resolve(str(routed), "cpu")


@pytest.mark.parametrize("module", [Dense(16, 8), LSTM(16, 8)], ids=["Dense", "LSTM"])
def test_a_safetensors_file_of_another_name_does_not_hide_a_pickle(bert, tmp_path, module):
    modules = [Transformer(str(bert)), *([module, Pooling(16)] if isinstance(module, LSTM) else [Pooling(16), module])]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path / "st"))
    [weights] = list((tmp_path / "st").glob("?_*/model.safetensors"))
    save_file({"other": torch.zeros(1)}, weights.with_name("other.safetensors"))
    pickled(weights)
    with pytest.raises(InputError, match=r"pickled only \(pytorch_model\.bin\)"):
        resolve(str(tmp_path / "st"), "cpu")


def in_parts(folder):
    """Cut a checkpoint's weights in two, as save_pretrained cuts large ones."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {f"model-0000{n + 1}-of-00002.safetensors": names[n::2] for n in range(2)}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / file, {"format": "pt"})
    return {name: file for file, held in parts.items() for name in held}


def write_index(folder, parts):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": parts}))


def test_weights_in_parts_are_loaded_and_count(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "parts")
    write_index(folder, in_parts(folder))
    one, two = (resolve(str(place), "cpu") for place in (bert, folder))
    texts, languages = ["w1 w2", "w3"], ["en", "en"]
    np.testing.assert_array_equal(
        one.retriever.encode(texts, role="query", languages=languages),
        two.retriever.encode(texts, role="query", languages=languages),
    )
    assert len([path for path in deciding_files(folder) if path.suffix == ".safetensors"]) == 2


def test_a_pickle_beside_parts_without_their_index_is_not_hidden(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "parts")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    in_parts(folder)
    with pytest.raises(InputError, match="pickled only"):
        resolve(str(folder), "cpu")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../model.safetensors", "lie outside"),
        ("/tmp/model.safetensors", "lie outside"),
        ("..\\model.safetensors", "lie outside"),
        ("pytorch_model.bin", "no safetensors file"),
        ("model-00003-of-00003.safetensors", "are not there"),
    ],
)
def test_an_index_names_safetensors_files_beside_it(bert, tmp_path, name, reason):
    folder = shutil.copytree(bert, tmp_path / "parts")
    parts = in_parts(folder)
    write_index(folder, {**parts, next(iter(parts)): name})
    with pytest.raises(InputError, match=reason):
        resolve(str(folder), "cpu")


def test_a_link_is_followed_and_its_content_counts(bert, tmp_path):
    # As in the hub's cache, where every file of a snapshot is a link to a blob.
    folder = shutil.copytree(bert, tmp_path / "linked")
    shutil.move(folder / "model.safetensors", tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    assert resolve(str(folder), "cpu").info.fingerprint == resolve(str(bert), "cpu").info.fingerprint


def test_an_adapter_without_its_base_model_is_refused(bert, tmp_path):
    folder = save_dense(tmp_path / "st", bert)
    rewrite(folder / "adapter_config.json", base_model_name_or_path="org/name")
    with pytest.raises(InputError, match="a PEFT adapter, whose base model lies elsewhere"):
        resolve(str(folder), "cpu")
