"""The examples of README.md, docs/index.md, docs/api.md and the docstrings run, and print what the pages say."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import xlir_bench

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def examples(page: Path) -> list[tuple[int, str, str | None]]:
    """Line, code, and what the block `text` right behind it says that the code shows, if there is one."""
    content = page.read_text(encoding="utf-8")
    return [(content.count("\n", 0, m.start()) + 1, m[1], m[2]) for m in BLOCK.finditer(content)]


def run(code: str, where: str, names: dict[str, object]) -> str:
    """Run a block of code as a notebook does: the value of a last expression is shown after what was printed."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), where, "exec"), names)
    if last is None:
        return ""
    value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    return "" if value is None else str(value)


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/api.md"])
def test_the_examples_of_a_page_run_and_show_what_it_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # The README's examples are for a clone of the repository.
    (tmp_path / "submissions").symlink_to(ROOT / "submissions")
    found = examples(ROOT / page)
    assert found
    names: dict[str, object] = {"__name__": "__main__"}
    for line, code, shown in found:
        value = run(code, f"{page}:{line}", names)
        printed = capsys.readouterr().out
        if shown is not None:
            assert (printed + value).split() == shown.split(), f"{page}:{line}"


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
