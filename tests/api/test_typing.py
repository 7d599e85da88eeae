"""What mypy knows of a user's program: everything that the API returns has a type, and none is `Any`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import xlir_bench

REVEALED = {
    'xb.evaluate(model, "xlir-mini", languages=["de", "en"])': "xlir_bench.api.result.Result",
    "xb.evaluate(model, own)": "xlir_bench.api.result.Result",
    'xb.evaluate(model, ["xlir-mini", own])': "xlir_bench.api.result.Results",
    'xb.evaluate(model, ["xlir-mini"])[0]': "xlir_bench.api.result.Result",
    'xb.evaluate(model, ["xlir-mini"]).to_pandas()': "pandas.core.frame.DataFrame",
    "result.summary": "pandas.core.frame.DataFrame",
    "result.to_pandas()": "pandas.core.frame.DataFrame",
    "result.per_query()": "pandas.core.frame.DataFrame",
    "result.bias": "xlir_bench.results.schema.Bias | None",
    "bias.summary": "dict[str, float]",
    "bias.maps": "dict[str, dict[str, dict[str, float]]]",
    "result.languages": "tuple[str, ...]",
    'result.save("results")': "pathlib.Path",
    'xb.load("results")': "xlir_bench.api.result.Results",
    "xb.compare([result, result])": "xlir_bench.analysis.comparison.Comparison",
    "xb.compare([result, result]).to_pandas()": "pandas.core.frame.DataFrame",
    'xb.gate(result, "results").passed': "bool",
    'xb.report("results", "site").index': "pathlib.Path",
    "own": "xlir_bench.api.collection.Collection",
    "own.settings": "dict[str, tuple[str, ...]]",
    'xb.InputError("what is wrong").exit_code': "int",
}
"""An expression of a user's program -> the type that mypy must reveal."""

HEADER = """\
from __future__ import annotations

from typing import cast

import pandas as pd

import xlir_bench as xb

model = "xlir-hybrid-static"
frame = pd.DataFrame({"id": ["1"], "text": ["one"]})
own = xb.Collection.from_pandas(frame, frame, frame, name="own", language="en")
result = xb.evaluate(model, own, similarity="cosine", output="results")
bias = cast(xb.Bias, result.bias)
"""

CONFIGURATION = """\
[mypy]
strict = True
disallow_any_expr = True
disallow_any_decorated = True
show_error_codes = True

# Only the user's program is judged here; the package is checked by its own run of mypy.
[mypy-xlir_bench.*]
follow_imports = silent

# Nothing that the program uses mentions a type of these, and reading them takes minutes.
[mypy-{skipped}]
ignore_missing_imports = True
follow_imports = skip
"""

SKIPPED = (
    "torch transformers sentence_transformers tokenizers safetensors huggingface_hub mteb datasets ray scipy numba "
    "bm25s pyarrow ir_measures altair vl_convert jinja2 rich requests fsspec langcodes markdown_it"
)


def checked(program: str, folder: Path) -> str:
    """What mypy prints of a program."""
    (folder / "program.py").write_text(program)
    skipped = ",".join(f"{name}.*" for name in SKIPPED.split())
    (folder / "mypy.ini").write_text(CONFIGURATION.format(skipped=skipped))
    package = Path(xlir_bench.__file__).parents[1]
    # mypy finds an installed package by itself, and one that is installed for editing by its path alone.
    environment = os.environ if package.name == "site-packages" else {**os.environ, "MYPYPATH": str(package)}
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(folder / "cache"), "program.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> tuple[dict[int, str], list[str]]:
    """Line of the program -> what is revealed there, and errors."""
    pytest.importorskip("mypy", reason="needs the extra dev")
    program = HEADER + "".join(f"reveal_type({expression})\n" for expression in REVEALED)
    # An error of mypy's that must be there: without it the run proves nothing.
    said = checked(program + "result.sumary\n", tmp_path_factory.mktemp("program"))
    revealed = re.findall(r'^program\.py:(\d+): note: Revealed type is "(.*)"$', said, re.MULTILINE)
    return {int(line): kind for line, kind in revealed}, re.findall(r"^.*: error: .*$", said, re.MULTILINE)


def test_a_program_under_strict_mypy_gets_a_type_for_everything(printed):
    revealed, _ = printed
    first = HEADER.count("\n") + 1
    found = {expression: revealed.get(first + place) for place, expression in enumerate(REVEALED)}
    assert found == REVEALED
    assert not [kind for kind in found.values() if re.search(r"\bAny\b", kind)]


def test_nothing_in_the_program_is_any_and_a_wrong_name_is_found(printed):
    last = HEADER.count("\n") + len(REVEALED) + 1
    _, errors = printed
    assert [one for one in errors if not one.startswith(f"program.py:{last}: ")] == []
    assert f'program.py:{last}: error: "Result" has no attribute "sumary"' in errors[0]
