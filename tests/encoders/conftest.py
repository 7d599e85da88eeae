"""What the tests of the encoders share."""

from __future__ import annotations

import threading

import pytest
from embedding_server import KEY, Server

from xlir_bench.encoders import embeddings_api


@pytest.fixture(scope="session", autouse=True)
def _two_threads():
    """Small models gain nothing from more, and lose much where the cores are busy with something else."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def live(monkeypatch):
    """An embedding server, running, as `openai:MODEL` finds it."""
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", running.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(embeddings_api.random, "uniform", lambda low, high: 0.002)  # seconds become milliseconds
    yield running
    running.shutdown()
    running.server_close()
