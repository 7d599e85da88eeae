"""The examples of the docstrings run; those of the pages are in `test_docs_commands`."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import xlir_bench

MODULES = sorted(
    ["xlir_bench"]
    + [
        f"xlir_bench.{room}.{module.name}"
        for room in ("api", "integrations")
        for module in pkgutil.iter_modules([str(Path(xlir_bench.__file__).parent / room)])
    ]
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_docstrings_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = importlib.import_module(module)
    assert doctest.testmod(loaded).failed == 0


def test_the_main_names_have_examples():
    finder = doctest.DocTestFinder()
    shown = {test.name for module in MODULES for test in finder.find(importlib.import_module(module)) if test.examples}
    assert {"xlir_bench", "xlir_bench.api.evaluating.evaluate"} <= shown
    assert {one.rpartition(".")[2] for one in shown} >= {"tasks", "CrossLingualEvaluator"}
