"""ONNX and OpenVINO against torch: the same vectors, whatever is batched with what, and another key in the cache."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
from small_models import TEXTS, save_tokenizer, spread

from xlir_bench.encoders import Options, checkpoint, resolve
from xlir_bench.encoders import sentence_transformer as adapter
from xlir_bench.encoders.checkpoint import Settings, content_digest
from xlir_bench.errors import InputError, MissingResourceError

MODULES = {"onnx": ("onnxruntime", "optimum"), "openvino": ("openvino", "optimum")}


@pytest.fixture(params=MODULES)
def backend(request):
    if not all(find_spec(module) for module in MODULES[request.param]):
        pytest.skip(f"needs the extra {request.param}, which needs an older transformers; see docs/encoders.md")
    return request.param


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A BERT of two layers with mean pooling, saved by sentence-transformers."""
    folder = tmp_path_factory.mktemp("small")
    size = save_tokenizer(folder, ("[CLS]", "[PAD]", "[SEP]", "[UNK]"), 24)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=size, max_position_embeddings=24, pad_token_id=1, **shape)
    spread(transformers.BertModel(config)).save_pretrained(folder)
    words = Transformer(str(folder), max_seq_length=24)
    SentenceTransformer(modules=[words, Pooling(16)], device="cpu").save(str(folder / "model"))
    return folder / "model"


def encode(model, texts=TEXTS):
    return model.retriever.encode(texts, role="query", languages=["en"] * len(texts))


@pytest.mark.parametrize("name", ["small", "minilm"])
def test_a_backend_gives_torch_s_vectors_and_goes_by_another_fingerprint(request, backend, name):
    folder = str(request.getfixturevalue(name))
    ours, theirs = resolve(folder, "cpu", Options(backend=backend)), resolve(folder, "cpu")
    np.testing.assert_allclose(encode(ours), encode(theirs), atol=1e-3)
    assert ours.info.fingerprint != theirs.info.fingerprint
    assert ours.info.details["backend"] == backend
    assert "backend" not in theirs.info.details


def test_neither_batch_size_nor_order_nor_the_number_of_threads_matters(backend, small):
    """Many small batches: with several threads of torch, more of them are waiting than there are cores."""
    texts = TEXTS * 8
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        alone = encode(resolve(str(small), "cpu", Options(backend=backend, batch_tokens=1)), texts)
        together = encode(resolve(str(small), "cpu", Options(backend=backend)), texts[::-1])[::-1]
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_an_export_that_was_saved_is_used_without_the_weights(backend, small, tmp_path):
    SentenceTransformer(str(small), backend=backend, device="cpu").save_pretrained(str(tmp_path / "exported"))
    assert not list((tmp_path / "exported").rglob("*.safetensors"))
    exported = resolve(str(tmp_path / "exported"), "cpu", Options(backend=backend))
    np.testing.assert_allclose(encode(exported), encode(resolve(str(small), "cpu")), atol=1e-3)


def test_an_export_is_part_of_the_fingerprint_of_its_backend_alone(small, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((small / "model.safetensors").read_bytes())
    of_torch = content_digest(tmp_path)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"one")
    assert content_digest(tmp_path) == of_torch
    first = content_digest(tmp_path, "onnx")
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"two")
    assert len({of_torch, first, content_digest(tmp_path, "onnx")}) == 3


@pytest.mark.parametrize("name", MODULES)
def test_a_backend_that_is_not_installed_is_one_line(small, monkeypatch, name):
    def missing(module):
        raise ImportError(f"No module named {module!r}")

    monkeypatch.setattr(checkpoint.importlib, "import_module", missing)
    with pytest.raises(MissingResourceError, match=rf"the backend {name} needs .*pip install 'xlir-bench\[{name}\]'"):
        adapter.load(small, Settings(backend=name), "cpu")


def test_a_backend_has_the_precision_of_its_export(small):
    with pytest.raises(InputError, match="the backend onnx has the precision of its export"):
        adapter.load(small, Settings(backend="onnx", precision="float16"), "cpu")
