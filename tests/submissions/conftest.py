"""A complete submission of a model that needs no weights, made by a real run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from xlir_bench import submissions

MANIFEST = """\
name: lexical
adapter: bm25
licence: Apache-2.0
parameters: 0
trained_on: []
description: A lexical baseline.
"""
CARD = "# lexical\n\n" + "It counts words and weighs them; it was trained on nothing and knows no synonym. " * 4


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import run
    from xlir_bench.suites import find, load

    folder = tmp_path_factory.mktemp("made")
    suite = find("xlir-mini")
    run(resolve("bm25"), suite, load(suite), folder / "out")
    place = folder / "lexical"
    shutil.copytree(folder / "out" / "bm25", place / "results")
    (place / "submission.yaml").write_text(MANIFEST)
    (place / "README.md").write_text(CARD)
    return place


@pytest.fixture
def complete(made, tmp_path) -> Path:
    """The folder of a submission that is complete and true; each test has its own."""
    shutil.copytree(made, tmp_path / "submissions" / "lexical")
    return tmp_path / "submissions" / "lexical"


@pytest.fixture
def errors():
    """The errors of a submission, as `place: what`."""

    def listed(folder: Path) -> list[str]:
        findings = submissions.validate(submissions.load(folder))
        return [f"{one.place}: {one.what}" for one in findings if one.severity == "error"]

    return listed
