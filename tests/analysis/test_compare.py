"""Comparing stored runs: differences, intervals, tests, standings, and what is refused."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from leaderboard.measured_runs import WordEncoder

from xlir_bench.analysis import compare, load_run
from xlir_bench.cli.main import cli
from xlir_bench.collection import Collection
from xlir_bench.encoders import Model, ModelInfo, resolve
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.evaluation import run
from xlir_bench.suites import find, load

LANGUAGES = ["de", "en", "th"]


@pytest.fixture(scope="module")
def collection(parallel_suite) -> Collection:
    return load(parallel_suite, languages=LANGUAGES)


@pytest.fixture(scope="module")
def results(parallel_suite, collection, tmp_path_factory):
    """Result files of a good, a bad and a second good encoder."""
    output = tmp_path_factory.mktemp("results")
    found = {}
    for name, noise in (("good", 0.1), ("bad", 5.0), ("twin", 0.1)):
        model = Model(ModelInfo(name, name, f"{name:0<64}"), WordEncoder(noise))
        found[name] = run(model, parallel_suite, collection, output).path
    return found


@pytest.fixture(scope="module")
def comparison(results):
    return compare([load_run(results[name]) for name in ("bad", "good", "twin")])


def one(entries, **wanted):
    (found,) = [e for e in entries if all(getattr(e, name) == value for name, value in wanted.items())]
    return found


def test_the_difference_is_that_of_the_summaries_within_its_interval(results, comparison):
    summaries = {name: load_run(path).result.summary for name, path in results.items()}
    for entry in comparison.settings:
        expected = summaries[entry.b][entry.setting][entry.measure] - summaries[entry.a][entry.setting][entry.measure]
        assert entry.difference == pytest.approx(expected, abs=1e-9)
        assert entry.interval[0] - 1e-6 <= entry.difference <= entry.interval[1] + 1e-6


def test_what_is_better_is_told_apart_and_what_is_equal_is_not(comparison):
    better = one(comparison.settings, a="bad", b="good", setting="monolingual", measure="AP")
    assert better.better
    assert better.adjusted_p < 0.01
    assert better.interval[0] > 0
    assert better.effect_size > 0.5
    equal = one(comparison.settings, a="good", b="twin", setting="monolingual", measure="AP")
    assert (equal.difference, equal.p, equal.adjusted_p, equal.better) == (0, 1, 1, None)
    assert equal.effect_size == 0


def test_a_difference_that_may_be_chance_makes_neither_better(results, parallel_suite, collection, tmp_path):
    near = Model(ModelInfo("near", "near", f"{'near':0<64}"), WordEncoder(0.12))
    path = run(near, parallel_suite, collection, tmp_path).path
    found = compare([load_run(results["good"]), load_run(path)])
    chance = [d for d in (*found.settings, *found.by_language) if d.difference and d.adjusted_p >= 0.05]
    assert chance
    assert {d.better for d in chance} == {None}
    shown = CliRunner().invoke(cli, ["compare", str(results["good"]), str(path)])
    assert "not told apart" in shown.output


def test_encoders_that_are_not_told_apart_share_rank_and_letter(comparison):
    standings = {s.encoder: s for s in comparison.standings if (s.setting, s.measure) == ("monolingual", "AP")}
    assert [standings[name].rank for name in ("good", "twin", "bad")] == [1, 1, 3]
    assert standings["good"].groups == standings["twin"].groups != standings["bad"].groups


def test_less_rank_distance_is_better(tmp_path):
    suite = find("xlir-mini")
    texts = load(suite, languages=["de", "en"])
    paths = [run(resolve(name), suite, texts, tmp_path).path for name in ("bm25", "random", "xlir-hybrid-static")]
    found = [d for d in compare(list(map(load_run, paths))).settings if d.measure == "rank_distance"]
    assert [d.better for d in found if d.adjusted_p < 0.05] == [d.difference < 0 for d in found if d.adjusted_p < 0.05]
    assert {d.better for d in found} >= {True}


def test_differences_by_language_are_those_of_the_rows(results, comparison):
    rows = {
        name: {
            s.query_language: s.value
            for s in load_run(results[name]).result.scores
            if (s.setting, s.measure) == ("monolingual", "AP")
        }
        for name in ("bad", "good")
    }
    found = [d for d in comparison.by_language if (d.a, d.b, d.setting) == ("bad", "good", "monolingual")]
    assert {d.query_language: d.difference for d in found} == pytest.approx(
        {code: rows["good"][code] - rows["bad"][code] for code in LANGUAGES}
    )
    assert [d.difference for d in found] == sorted((d.difference for d in found), reverse=True)


def test_cross_lingual_differences_are_given_by_query_and_by_document_language(comparison):
    found = [d for d in comparison.by_language if (d.a, d.b, d.setting) == ("bad", "good", "cross-lingual")]
    sides = {(d.query_language == "*", d.document_language == "*") for d in found}
    assert sides == {(True, False), (False, True)}
    assert len(found) == 2 * len(LANGUAGES)


def test_queries_at_the_ends_come_with_their_values(results, comparison):
    gains = [q for q in comparison.gains if (q.a, q.b, q.setting) == ("bad", "good", "monolingual")]
    assert len(gains) == 5
    assert all(q.gain == pytest.approx(q.value_b - q.value_a) for q in gains)
    good = load_run(results["good"]).ranks
    best = gains[0]
    row = (good.query_id == best.query_id) & (good.document_language == best.query_language)
    assert best.value_b == pytest.approx(1 / good.rank_in_language[row][0])


def test_two_results_at_least_and_each_of_another_model(results):
    good = load_run(results["good"])
    with pytest.raises(InputError, match="two results at least"):
        compare([good])
    with pytest.raises(InputError, match="good occurs twice"):
        compare([good, good])


def test_results_of_different_data_are_refused(results, parallel_suite, collection, tmp_path):
    model = Model(ModelInfo("other", "other", "0" * 64), WordEncoder(0.1))
    other = run(model, parallel_suite, collection.select(["de", "en"]), tmp_path).path
    with pytest.raises(InputError, match="not measured on the same data"):
        compare([load_run(results["good"]), load_run(other)])


def test_a_result_without_its_ranks_is_named(results, tmp_path):
    alone = tmp_path / "xquad-r.json"
    alone.write_bytes(results["good"].read_bytes())
    with pytest.raises(MissingResourceError, match="no such table of ranks"):
        load_run(alone)


def test_runs_keep_intervals_and_bias_with_their_results(results):
    result = load_run(results["good"]).result
    for setting, measures in result.summary.items():
        for name, value in measures.items():
            low, high = result.intervals[setting][name]
            assert low <= value <= high
    assert result.bias.summary["rank_distance"] == pytest.approx(result.summary["multilingual"]["rank_distance"])


def test_the_command_prints_json_and_latex_and_a_table(results):
    paths = [str(results["bad"]), str(results["good"])]
    content = json.loads(CliRunner().invoke(cli, ["compare", *paths, "--json"]).stdout)
    assert {d["setting"] for d in content["settings"]} == {"monolingual", "cross-lingual", "multilingual"}
    table = CliRunner().invoke(cli, ["compare", *paths, "--latex"]).stdout
    assert table.count("\\begin{tabular}") == table.count("\\end{tabular}") == 2
    assert "rank\\_distance" in table
    for line in table.splitlines():
        if line.endswith("\\\\"):
            assert line.count("&") in {5, 6}
    assert "Queries that gain" in CliRunner().invoke(cli, ["compare", *paths]).stdout


def test_a_folder_of_several_suites_asks_for_one(results, tmp_path):
    folder = results["good"].parents[1]
    content = results["good"].read_text().replace('"name": "parallel"', '"name": "other"')
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "other.json").write_text(content)
    (tmp_path / "x" / "other.parquet").write_bytes(results["good"].with_suffix(".parquet").read_bytes())
    found = CliRunner().invoke(cli, ["compare", str(folder), str(tmp_path)])
    assert isinstance(found.exception, InputError)
    assert "give --suite" in str(found.exception)
    assert CliRunner().invoke(cli, ["compare", str(folder), str(tmp_path), "--suite", "parallel"]).exit_code == 0
