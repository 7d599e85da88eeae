"""Tables for a paper: what is chosen, what it is called, and what stands beside the means."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from commands import one_line, xlir_bench

import xlir_bench as xb
from xlir_bench.analysis.paper import Choice, paper_tables
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.results.exchange import as_latex, read_entries
from xlir_bench.results.exchange.latex import number, row_of

NAMES = {"random": "Random", "bm25": "BM25_{k}", "xlir-mini": "Mini", "multilingual": "pool", "de": "German (de)"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("results")
    for model in ("bm25", "random"):
        xb.evaluate(model, "xlir-mini", languages=["de", "sw", "th"]).save(place)
    return place


@pytest.fixture(scope="module")
def entries(folder):
    return read_entries([folder])


def bodies(text: str) -> list[list[list[str]]]:
    """The rows of each table below its head, as cells."""
    tables = re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL)  # to the last rule
    return [
        [line.removesuffix(r" \\").split(" & ") for line in table.splitlines() if line.endswith(r"\\")]
        for table in tables
    ]


def heads(text: str) -> list[list[str]]:
    return [line.removesuffix(r" \\").split(" & ") for line in re.findall(r"(.*\\\\)\n\\midrule", text)]


def test_names_are_those_that_were_given_and_escaped(entries):
    text = paper_tables(entries, Choice(names=NAMES))
    ((first, *_), (second, *_)) = bodies(text)[0]
    assert (first, second) == (r"BM25\_\{k\}", "Random")
    assert r"\caption{Mini, version 1" in text
    assert r"{c}{pool}" in text
    with pytest.raises(InputError, match="unknown name 'bm-25': did you mean bm25"):
        paper_tables(entries, Choice(names={"bm-25": "BM25"}))


def test_settings_and_suites_are_chosen(entries):
    text = paper_tables(entries, Choice(suites=("xlir-mini",), settings=("cross-lingual",)))
    assert "monolingual" not in text
    assert heads(text) == [["encoder", "AP", "R@1"]]
    with pytest.raises(InputError, match="unknown suite 'xlir-min': did you mean xlir-mini"):
        paper_tables(entries, Choice(suites=("xlir-min",)))


def test_means_over_chosen_languages_are_those_of_their_rows(entries):
    text = paper_tables(entries, Choice(settings=("monolingual", "cross-lingual"), languages=("swa", "de")))
    result = entries[0].result
    for column, (setting, wanted) in enumerate((("monolingual", {"AP"}), ("cross-lingual", {"AP"}))):
        values = [
            s.value
            for s in result.scores
            if s.setting == setting and s.measure in wanted and {s.query_language, s.document_language} <= {"de", "sw"}
        ]
        assert len(values) == 2
        assert f"{sum(values) / 2:.4f}" in bodies(text)[0][0][1 + 2 * column]
    assert "rows with queries and documents in Swahili (sw), German (de)" in text
    with pytest.raises(InputError, match="no result has queries in en; there are de, sw, th"):
        paper_tables(entries, Choice(languages=("en",)))


def test_a_table_by_language_has_a_row_per_language_and_their_mean(entries):
    text = paper_tables(entries, Choice(settings=("multilingual",), by_language=True, names=NAMES))
    assert heads(text)[0] == ["queries in", r"BM25\_\{k\}", "Random"]
    rows = bodies(text)[0]
    assert [row[0] for row in rows] == ["German (de)", "Swahili", "Thai", "mean"]
    assert text.count(r"\midrule") == 2
    values = {
        s.query_language: s.value for s in entries[0].result.scores if (s.setting, s.measure) == ("multilingual", "AP")
    }
    shown = [float(re.search(r"[\d.]{6}", row[1])[0]) for row in rows]
    assert shown == pytest.approx([values["de"], values["sw"], values["th"], sum(values.values()) / 3], abs=6e-5)


def test_intervals_are_those_of_the_result(entries):
    text = paper_tables(entries, Choice(settings=("monolingual",), show="intervals"))
    low, high = entries[0].result.intervals["monolingual"]["AP"]
    assert rf"{{\footnotesize [{low:.4f}, {high:.4f}]}}" in bodies(text)[0][0][1]
    assert r"95 \% intervals by cluster bootstrap" in text


def test_letters_are_those_of_the_projects_own_tests(entries, folder):
    text = paper_tables(entries, Choice(show="letters"))
    comparison = xb.compare(folder)
    expected = {(s.encoder, s.setting, s.measure): s.groups for s in comparison.standings}
    assert set(expected.values()) >= {"a", "b"}
    places = [(setting, measure) for setting, values in entries[0].result.summary.items() for measure in values]
    for entry, row in zip(entries, bodies(text)[0], strict=True):
        letters = [re.search(r"\\textsuperscript\{(\w+)\}", cell)[1] for cell in row[1:]]
        assert letters == [expected[entry.result.model.name, *place] for place in places]


def test_a_model_against_itself_under_another_name_shares_its_letter(entries):
    first = entries[0]
    model = first.result.model.model_copy(update={"name": "again"})
    twin = replace(first, result=first.result.model_copy(update={"model": model}))
    text = paper_tables([first, twin], Choice(show="letters", by_language=True, settings=("monolingual",)))
    for row in bodies(text)[0]:
        assert all(cell.endswith(r"\textsuperscript{a}") for cell in row[1:])
        assert "textbf" not in "".join(row)


def test_letters_need_ranks(folder, tmp_path):
    (source,) = (folder / "bm25").glob("xlir-mini*.json")
    (tmp_path / source.name).write_bytes(source.read_bytes())
    with pytest.raises(MissingResourceError, match=r"the ranks of xlir-mini\.json are not beside it"):
        paper_tables(read_entries([tmp_path / source.name]), Choice(show="intervals"))


@pytest.mark.parametrize(
    ("value", "written"),
    [(-0.25, "$-$0.2500"), (-0.00001, "0.0000"), (1234.56, r"1\,234.6"), (-2000, r"$-$2\,000.0"), (0.5, "0.5000")],
)
def test_a_negative_number_has_a_minus_sign_and_zero_has_none(value, written):
    assert number(value) == written


def test_a_comparison_has_minus_signs_too(folder):
    text = xb.compare(folder).to_latex()
    assert r"random $-$ bm25" in text
    assert "$-$0." in text
    assert not re.search(r"(?<![$\w])[-+]\d", text)


@pytest.mark.parametrize("name", ["[x] model", "*model"])
def test_a_name_is_no_argument_of_the_line_before(name):
    assert row_of([name, "1"]).startswith("{}")


def test_every_row_has_as_many_cells_as_the_table_has_columns(entries):
    for choice in (Choice(), Choice(by_language=True, show="letters"), Choice(show="intervals")):
        text = paper_tables(entries, choice)
        assert text.count(r"\begin{table}") == text.count(r"\end{table}") > 0
        for alignment, table in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
            rows = [line for line in table.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
            assert {line.count(" & ") + 1 for line in rows} == {len(alignment)}
            assert all(rule in table for rule in (r"\toprule", r"\midrule", r"\bottomrule"))


def test_the_command_has_the_options(folder, tmp_path):
    output = tmp_path / "table.tex"
    done = xlir_bench(
        *("export", folder, "--format", "latex", "--output", output, "--settings", "monolingual", "--by-language"),
        *("--with", "letters", "--name", "bm25=BM25", "--rows-in", "de,sw", "--suites", "xlir-mini"),
    )
    assert done.returncode == 0, done.stderr
    assert [row[0] for row in bodies(output.read_text())[0]] == ["German", "Swahili", "mean"]
    assert "BM25" in output.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "csv", "--rows-in", "de"), "--rows-in is an option of --format latex"),
        (("--format", "csv", "--settings", "monolingual"), "--settings is an option of --format trec and latex"),
        (("--format", "json", "--depth", "10"), "--depth is an option of --format trec"),
        (("--format", "latex", "--name", "bm25"), "write NAME=SHOWN"),
    ],
)
def test_an_option_of_another_form_is_refused(folder, options, message):
    assert message in one_line(xlir_bench("export", folder, *options), 2)


def test_tables_without_a_choice_are_those_of_the_results(entries):
    assert paper_tables(entries, Choice()) == as_latex([entry.result for entry in entries])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
@pytest.mark.parametrize("choice", [Choice(show="intervals"), Choice(show="letters", by_language=True)])
def test_the_tables_compile(entries, choice, tmp_path):
    named = replace(choice, names={"bm25": "[a] _%&#{}$~^\\<>|--", "random": "*"})
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}%s\end{document}"
    (tmp_path / "t.tex").write_text(document.replace("%s", paper_tables(entries, named)))
    done = subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
