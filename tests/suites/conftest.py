"""A server to download from, and the network forbidden for one test only."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from xlir_bench import offline


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
