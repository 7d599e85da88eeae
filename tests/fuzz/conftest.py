"""Folders of each test, away from those of whoever runs it; valid inputs; and at the end what was tried."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from guarded import Arena


@pytest.fixture
def arena(tmp_path, monkeypatch, request):
    """Where a test's inputs lie and its commands run."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs the extra facts of /proc")
    made = Arena(tmp_path / "arena")
    for name, folder in (
        ("HOME", "home"),
        ("XLIR_BENCH_CACHE", "cache"),
        ("TMPDIR", "tmp"),
        ("XDG_CACHE_HOME", "cache"),
    ):
        monkeypatch.setenv(name, str(made.root / folder))
    monkeypatch.setattr(tempfile, "tempdir", str(made.root / "tmp"))
    monkeypatch.setenv("XLIR_BENCH_OFFLINE", "1")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.chdir(made.root / "work")
    yield made
    request.node.user_properties.append(("fuzzed", made.tally.line()))
    from xlir_bench.offline import allow_network

    allow_network()


@pytest.fixture(scope="session")
def measured(tmp_path_factory) -> Path:
    """The result of BM25 on two languages of xlir-mini, `xlir-mini.json`, with its tables beside it."""
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import run
    from xlir_bench.suites import find, load

    suite = find("xlir-mini")
    return run(resolve("bm25"), suite, load(suite, None, ["de", "en"]), tmp_path_factory.mktemp("measured")).path


def pytest_terminal_summary(terminalreporter) -> None:
    """A line for each test: how many inputs, and what they took."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    for report in reports:
        for name, value in getattr(report, "user_properties", []):
            if name == "fuzzed" and report.when == "teardown":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {value}")
