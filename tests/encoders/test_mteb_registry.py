"""`mteb:NAME`, with models of mteb's own registry that need no download."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
import torch
from mteb_stubs import registered

from xlir_bench.collection import Texts
from xlir_bench.encoders import Options, encode_texts, resolve
from xlir_bench.errors import InputError, MissingResourceError

mteb = pytest.importorskip("mteb")
NAME = "mteb/baseline-random-encoder"
TEXTS = Texts(["0", "1"], ["one", "two"], ["en", "en"])


def test_a_model_of_the_registry_gives_its_vectors_and_its_revision():
    model = resolve(f"mteb:{NAME}", "cpu")
    meta = mteb.get_model_meta(NAME)
    assert model.info.revision == meta.revision
    assert model.info.name == f"mteb-mteb-baseline-random-encoder-{model.info.fingerprint[:8]}"
    assert model.info.details["registry"] == NAME
    vectors = encode_texts(model.retriever, model.info, TEXTS, "query").vectors
    again = encode_texts(resolve(f"mteb:{NAME}", "cpu").retriever, model.info, TEXTS, "query").vectors
    np.testing.assert_array_equal(vectors, again)
    assert not np.array_equal(vectors[0], vectors[1])


def test_a_manifest_names_a_model_of_the_registry(tmp_path):
    (tmp_path / "submission.yaml").write_text(f"{{name: r, adapter: mteb, licence: MIT, source: {{mteb: {NAME}}}}}")
    assert resolve(str(tmp_path), "cpu").info.fingerprint == resolve(f"mteb:{NAME}", "cpu").info.fingerprint


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"did you mean .*intfloat/multilingual-e5-small"):
        resolve("mteb:intfloat/multilingual-e5-smal")


def test_a_loader_that_may_run_code_needs_leave():
    with pytest.raises(InputError, match=r"mteb's loader \w+ may run code.*--trust-remote-code"):
        resolve("mteb:nomic-ai/nomic-embed-text-v1.5")


def test_a_model_that_is_not_here_is_one_line():
    with pytest.raises(MissingResourceError, match="is not on this machine") as raised:
        resolve("mteb:sentence-transformers/LaBSE", "cpu", Options())  # the tests are offline
    assert "\n" not in str(raised.value)


class Unruly:
    """A model of mteb that prints, disturbs the process, and ends it in its loader or when it encodes."""

    ends_in = "the loader"

    def __init__(self, folder, revision=None, **kwargs):
        print("HELLO from the loader")
        torch.set_default_dtype(torch.float64)
        logging.disable(logging.CRITICAL)
        if self.ends_in == "the loader":
            sys.exit(0)

    def encode(self, inputs, **kwargs):
        sys.exit(0)


@pytest.mark.parametrize("where", ["the loader", "encode"])
def test_a_model_of_the_registry_that_ends_the_process_is_one_line(tmp_path, monkeypatch, where):
    monkeypatch.setattr(Unruly, "ends_in", where)
    name = registered(monkeypatch, Unruly, tmp_path, {})
    with pytest.raises(InputError, match=r"it called sys\.exit\(0\)"):
        resolve(f"mteb:{name}", "cpu", Options(trust_remote_code=True))
    assert torch.get_default_dtype() == torch.float32
    assert logging.getLogger("xlir_bench").isEnabledFor(logging.WARNING)
