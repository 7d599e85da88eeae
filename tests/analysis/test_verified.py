"""Figures that do not follow from their ranks are refused by whatever reads results."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from xlir_bench.analysis import compare, load_run, load_verified, recompute
from xlir_bench.cli.main import cli
from xlir_bench.encoders import resolve
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.evaluation import run
from xlir_bench.leaderboard import gather
from xlir_bench.results import load_ranks, load_result, ranks_path
from xlir_bench.suites import find, load

LANGUAGES = ["de", "en", "sw"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The result file of a real run, with its ranks."""
    suite = find("xlir-mini")
    return run(resolve("bm25"), suite, load(suite, None, LANGUAGES), tmp_path_factory.mktemp("measured")).path


@pytest.fixture
def path(measured, tmp_path):
    """A copy that a test may spoil."""
    shutil.copytree(measured.parent, tmp_path / "candidate" / "bm25")
    return tmp_path / "candidate" / "bm25" / measured.name


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


EDITS = {
    "a score": (lambda d: d["scores"][0].update(value=0.999), "monolingual de-de AP: the result says 0.999"),
    "a mean": (lambda d: d["summary"]["monolingual"].update(AP=0.999), "summary monolingual AP"),
    "a score and its mean": (
        lambda d: (d["scores"][0].update(value=0.9), d["summary"]["monolingual"].update(AP=0.7)),
        "monolingual de-de AP",
    ),
    "ties": (lambda d: d.update(ties=0.5), "ties"),
    "queries": (lambda d: d["scores"][0].update(queries=7), "monolingual de-de AP, queries"),
    "documents": (lambda d: d["scores"][0].update(documents=7), "monolingual de-de AP, documents"),
    "a row left out": (lambda d: d.update(scores=d["scores"][1:]), "monolingual de-de AP: the result says nothing"),
    "a row twice": (lambda d: d["scores"].append(d["scores"][0]), "scores"),
    "a setting made up": (lambda d: d["summary"].update(zeroshot={"AP": 1.0}), "summary zeroshot AP"),
    "a measure made up": (lambda d: d["summary"]["monolingual"].update({"nDCG@3": 1.0}), "summary monolingual nDCG@3"),
    "a mean left out": (lambda d: d["summary"]["monolingual"].pop("AP"), "summary monolingual AP"),
    "a primary measure made up": (lambda d: d["primary"].update(monolingual="X"), "primary monolingual"),
}
ANALYSIS = {
    "an interval": (lambda d: d["intervals"]["monolingual"].update(AP=[0.1, 0.2]), "intervals monolingual_AP_0"),
    "bias": (lambda d: d["bias"]["summary"].update(rank_distance=1.0), "bias summary_rank_distance"),
    "a map of bias": (lambda d: d["bias"]["maps"]["language_advantage"]["de"].update(en=1.0), "bias maps_"),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("command", ["gate", "gate as baseline", "compare", "csv", "latex", "mteb", "report"])
def test_an_edited_figure_is_refused_with_its_name_by_every_command(measured, path, tmp_path, change, command):
    edit(path, change[0])
    site = tmp_path / "out"
    arguments = {
        "gate": ("gate", path, "--baseline", measured),
        "gate as baseline": ("gate", measured, "--baseline", path),
        "compare": ("compare", measured, path),
        "csv": ("export", path, "--format", "csv"),
        "latex": ("export", path, "--format", "latex"),
        "mteb": ("export", path, "--format", "mteb", "--output", site),
        "report": ("report", path.parent, "--output", site),
    }[command]
    finished = invoke(*arguments)
    assert isinstance(finished.exception, InputError) or finished.exit_code == 2
    said = str(finished.exception) + finished.stderr
    assert f"{path}: {change[1]}" in said
    assert "from its ranks follows" in said
    assert finished.stdout == ""
    assert not site.exists()


@pytest.mark.parametrize("change", ANALYSIS.values(), ids=ANALYSIS)
@pytest.mark.parametrize(
    "command", [("report",), ("export", "--format", "json"), ("export", "--format", "mteb")], ids=str
)
def test_intervals_and_bias_are_recomputed_where_they_are_shown(path, tmp_path, change, command):
    edit(path, change[0])
    output = tmp_path / "out"
    finished = invoke(*command, path.parent, *(() if "json" in command else ("--output", output)))
    assert isinstance(finished.exception, InputError)
    assert f"{path}: {change[1]}" in str(finished.exception)
    assert not output.exists()


def test_a_site_is_built_of_the_others_and_the_exit_code_says_that_one_was_left_out(measured, path, tmp_path):
    edit(path, EDITS["a score"][0])
    finished = invoke("report", measured.parent, path.parent, "--output", tmp_path / "site")
    assert isinstance(finished.exception, InputError)
    assert f"left out: {path}: monolingual de-de AP: the result says 0.999" in finished.stderr
    table = (tmp_path / "site" / "leaderboard.json").read_text()
    assert "0.999" not in table
    assert "bm25" in table


def submission(path, tmp_path, name):
    """A folder of submissions with the result in it."""
    place = tmp_path / "submissions" / name
    shutil.copytree(path.parent, place / "results")
    (place / "submission.yaml").write_text(f"name: {name}\nadapter: bm25\nlicence: Apache-2.0\ntrained_on: []\n")
    return place


def test_a_submission_whose_figure_does_not_follow_is_left_out_and_stops_no_publication(measured, path, tmp_path):
    submission(measured, tmp_path, "honest")
    edit(path, EDITS["a score"][0])
    submission(path, tmp_path, "edited")
    finished = invoke("report", tmp_path / "submissions", "--output", tmp_path / "site")
    assert finished.exit_code == 0, finished.exception
    assert "left out: edited: xlir-mini.json: monolingual de-de AP: the result says 0.999" in finished.stderr
    assert "0.999" not in (tmp_path / "site" / "leaderboard.json").read_text()


def test_what_is_shown_are_the_recomputed_figures(path):
    """Groups of languages follow the release's table of languages and are not compared; what is shown is computed."""
    before = load_result(path)
    edit(path, lambda d: d["bias"]["groups"]["family"]["query"].update(rank_distance={"Martian": 5.0}))
    (entrant,) = gather([path]).entrants
    assert entrant.result == before


def test_a_result_without_ranks_is_shown_as_not_verified(path, tmp_path):
    ranks_path(path).unlink()
    (entrant,) = gather([path]).entrants
    assert "not verified" in entrant.profile.remarks[0]
    finished = invoke("export", path, "--format", "csv")
    assert finished.exit_code == 0
    assert f"{path}: not verified" in finished.stderr


def test_results_of_a_run_follow_from_their_ranks(measured):
    found = recompute(load_result(measured), load_ranks(ranks_path(measured)))
    assert found.discrepancies == ()
    assert found.figures > 200
    assert found.result == load_result(measured)


def test_ranks_of_another_run_are_not_taken_for_a_results_own(path):
    suite = find("xlir-mini")
    other = run(resolve("random"), suite, load(suite, None, LANGUAGES), path.parent.parent / "other").path
    shutil.copy(ranks_path(other), ranks_path(path))
    with pytest.raises(InputError, match="the file was edited, or is of another run"):
        load_run(path)


@given(where=st.integers(0, 10**6), by=st.floats(1e-8, 0.5), up=st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_score_that_was_touched_is_found(measured, where, by, up):
    result, ranks = load_result(measured), load_ranks(ranks_path(measured))
    scores = list(result.scores)
    at = where % len(scores)
    scores[at] = scores[at].model_copy(
        update={"value": scores[at].value + (by if up else -by) * max(1, scores[at].value)}
    )
    (found,) = recompute(result.model_copy(update={"scores": tuple(scores)}), ranks, analysis=False).discrepancies
    touched = scores[at]
    assert found.figure == f"{touched.setting} {touched.query_language}-{touched.document_language} {touched.measure}"
    assert found.said == touched.value


def test_rounding_of_another_machine_is_no_difference(measured):
    result, ranks = load_result(measured), load_ranks(ranks_path(measured))
    rounded = tuple(s.model_copy(update={"value": float(np.nextafter(s.value, 2))}) for s in result.scores)
    assert recompute(result.model_copy(update={"scores": rounded}), ranks, analysis=False).discrepancies == ()


def test_an_older_release_may_have_stated_less(measured):
    result, ranks = load_result(measured), load_ranks(ranks_path(measured))
    summary = {name: value for name, value in result.bias.summary.items() if name != "rank_distance"}
    less = result.model_copy(update={"bias": result.bias.model_copy(update={"summary": summary})})
    assert [one.figure for one in recompute(less, ranks).discrepancies] == ["bias summary_rank_distance"]
    older = less.model_copy(update={"harness": {"version": "0.0.1"}})
    assert recompute(older, ranks).discrepancies == ()
    assert recompute(older, ranks).result.bias == result.bias


def test_a_table_from_which_nothing_follows_is_one_line(path):
    result, ranks = load_result(path), load_ranks(ranks_path(path))
    languages = np.array(["xx"] * len(ranks), dtype=object)
    found = recompute(result, replace(ranks, document_language=languages))
    assert found.discrepancies[-1].figure == "all figures"
    table = pq.read_table(ranks_path(path))
    column = pa.array(["xx"] * len(table)).dictionary_encode()
    place = table.column_names.index("document_language")
    pq.write_table(table.set_column(place, "document_language", column), ranks_path(path))
    with pytest.raises(InputError, match="all figures") as raised:
        load_verified(path)
    assert "\n" not in str(raised.value)


def test_what_a_file_calls_its_measures_cannot_steer_the_terminal(path):
    edit(path, lambda d: d["summary"]["monolingual"].update({"\x1b[2J\u202e": 1.0}))
    with pytest.raises(InputError) as raised:
        load_run(path)
    assert not set(str(raised.value)) & {"\x1b", "\u202e"}


def test_a_result_that_is_read_twice_is_recomputed_once_and_again_after_a_change(path, monkeypatch):
    calls = []
    original = recompute
    monkeypatch.setattr("xlir_bench.analysis.verified.recompute", lambda *a, **k: calls.append(1) or original(*a, **k))
    edit(path, lambda d: d.update(created="2026-01-01T00:00:00+00:00"))
    assert load_verified(path)[0] == load_verified(path)[0]
    assert len(calls) == 1
    edit(path, EDITS["a score"][0])
    with pytest.raises(InputError):
        load_verified(path)


def test_a_run_without_ranks_is_missing_something(path):
    ranks_path(path).unlink()
    with pytest.raises(MissingResourceError, match="no such table of ranks"):
        load_run(path)


def test_runs_that_follow_are_compared_as_before(measured, tmp_path):
    suite = find("xlir-mini")
    other = run(resolve("random"), suite, load(suite, None, LANGUAGES), tmp_path).path
    found = compare([load_run(measured), load_run(other)])
    summaries = [load_result(place).summary for place in (measured, other)]
    for entry in found.settings:
        expected = summaries[1][entry.setting][entry.measure] - summaries[0][entry.setting][entry.measure]
        assert entry.difference == pytest.approx(expected, abs=1e-9)
