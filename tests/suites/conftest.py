"""A server to download from, the network forbidden for one test only, and an encoder that costs nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from xlir_bench import offline
from xlir_bench.encoders import Model, ModelInfo


@pytest.fixture
def server(monkeypatch):
    """See `serving.Served`."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("serving", Path(__file__).with_name("serving.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.serving() as served:
        yield served


@pytest.fixture
def no_network(monkeypatch):
    """As under --offline."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    offline.forbid_network()
    yield
    offline.allow_network()


class Letters:
    """Counts of some letters and digits."""

    def encode(self, texts, *, role, languages):
        return np.array([[text.count(letter) + 1 for letter in "aeinrstu0123"] for text in texts], dtype=np.float32)


@pytest.fixture
def letters() -> Model:
    """A model that needs no weights."""
    return Model(ModelInfo("letters", "letters", "1" * 64), Letters())
