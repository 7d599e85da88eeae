"""Results as CSV, Parquet, JSON and LaTeX: every figure arrives, and a stranger's name stays a name."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.results import Result
from xlir_bench.results.exchange import as_csv, as_json, as_latex, long_table, read_entries, write_parquet
from xlir_bench.results.exchange.latex import escape
from xlir_bench.results.exchange.table import spread


def result(name="encoder", *, value=0.5, suite="xquad-r", fingerprint="ab" * 32, measure="AP") -> Result:
    row = {"setting": "monolingual", "query_language": "de", "document_language": "de", "measure": measure}
    return Result.model_validate(
        {
            "suite": {"name": suite, "version": 1, "fingerprint": fingerprint, "languages": ["de"]},
            "model": {"id": name, "name": name, "revision": None, "fingerprint": "cd" * 32}
            | {"prompts": {"query": "", "document": ""}, "details": {}},
            "harness": {"version": "0.1.0"},
            "environment": {},
            "created": "2026-01-15T12:00:00+00:00",
            "timing": {"encode_s": 1, "rank_s": 1, "measure_s": 1, "texts_per_s": None}
            | {"texts_encoded": 0, "texts_from_cache": 0},
            "summary": {"monolingual": {measure: value}},
            "primary": {"monolingual": measure},
            "ties": 0.0,
            "scores": [row | {"value": value, "queries": 3, "documents": 7}],
        }
    )


def test_a_csv_has_a_row_per_score_that_reads_back_to_the_last_digit():
    rows = list(csv.DictReader(io.StringIO(as_csv([result("a", value=1 / 3), result("b", value=0.1)]))))
    assert [(row["model"], float(row["value"])) for row in rows] == [("a", 1 / 3), ("b", 0.1)]
    assert {rows[0][name] for name in ("suite", "setting", "query_language", "measure")} == {
        "xquad-r",
        "monolingual",
        "de",
        "AP",
    }


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_name_is_no_formula_when_a_spreadsheet_opens_the_csv(name):
    (row,) = csv.DictReader(io.StringIO(as_csv([result(name)])))
    assert row["model"] == f"'{name}"


def test_a_negative_figure_stays_a_number_in_the_csv():
    (row,) = csv.DictReader(io.StringIO(as_csv([result(value=-0.25)])))
    assert float(row["value"]) == -0.25


def test_parquet_holds_the_same_table(tmp_path):
    results = [result("a"), result("b", value=0.25)]
    write_parquet(results, tmp_path / "scores.parquet")
    frame = pd.read_parquet(tmp_path / "scores.parquet")
    assert frame["value"].tolist() == [0.5, 0.25]
    assert {name: frame[name].tolist() for name in frame} == long_table(results)


def test_the_page_names_every_column_in_order_with_its_type(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "exchange.md").read_text()
    section = page.partition("## The columns of CSV and Parquet")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", section, re.MULTILINE))
    full = result()
    model = full.model.model_copy(update={"revision": "0" * 40, "similarity": "cosine"})
    write_parquet([full.model_copy(update={"model": model})], tmp_path / "scores.parquet")
    schema = pq.read_schema(tmp_path / "scores.parquet")
    assert list(documented) == schema.names == next(csv.reader(io.StringIO(as_csv([full]))))
    kinds = {"string": "text", "int64": "whole number", "double": "number"}
    types = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in schema]
    assert list(documented.values()) == [kinds[str(kind)] for kind in types]


def test_json_reads_back_as_the_results():
    results = [result("a"), result("b")]
    assert [Result.model_validate(one) for one in json.loads(as_json(results))] == results


def test_composite_fields_are_spread_over_columns():
    assert spread({"value": 0.5, "interval": (0.4, 0.6), "group": {"rank": 1}}) == {
        "value": 0.5,
        "interval_0": 0.4,
        "interval_1": 0.6,
        "group_rank": 1,
    }


def test_latex_marks_the_best_of_a_column_in_the_direction_of_its_measure():
    higher = as_latex([result("a", value=0.4), result("b", value=0.6)])
    assert r"a & 0.4000 \\" in higher
    assert r"b & \textbf{0.6000} \\" in higher
    lower = as_latex(
        [result("a", value=10.0, measure="rank_distance"), result("b", value=1200.0, measure="rank_distance")]
    )
    assert r"a & \textbf{10.0} \\" in lower
    assert r"b & 1\,200.0 \\" in lower


def test_results_on_different_data_never_share_a_latex_table():
    apart = as_latex([result("a"), result("b", fingerprint="ef" * 32)])
    assert apart.count(r"\begin{table}") == 2


@given(st.text(max_size=40))
def test_no_text_is_a_command_in_latex(text):
    shown = escape(text)
    assert "--" not in shown  # a dash
    for name in ("backslash", "asciitilde", "asciicircum", "less", "greater", "bar"):
        shown = shown.replace(rf"\text{name}{{}}", "")
    shown = shown.replace("-{}-", "-")
    for sign in "&%$#_{}":
        shown = shown.replace(f"\\{sign}", "")
    assert not set(shown) & set("\\&%$#_{}~^<>|\n")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_latex_compiles(tmp_path):
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}%s\end{document}"
    (tmp_path / "t.tex").write_text(document % as_latex([result("a_b%&#{}$~^\\"), result("c", value=0.1)]))
    done = subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_results_are_found_in_folders_and_what_is_none_is_refused(tmp_path):
    with pytest.raises(MissingResourceError, match="no result in"):
        read_entries([tmp_path])
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match="not a result"):
        read_entries([tmp_path / "x.json"])
