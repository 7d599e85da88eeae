"""Measures of ir_measures from a run to a verdict: measured, stored, recomputed, compared, gated, exported."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import ir_measures
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from xlir_bench.analysis import compare, load_run, load_verified
from xlir_bench.cli.main import cli
from xlir_bench.collection import Judgements
from xlir_bench.encoders import Model, ModelInfo
from xlir_bench.engines import Streaming
from xlir_bench.errors import InputError
from xlir_bench.evaluation import Output, evaluate, run
from xlir_bench.gating import Policy, Rule, gate
from xlir_bench.measures import distinct
from xlir_bench.results import judged_path, load_ranks, load_result, ranks_path
from xlir_bench.results.exchange import Entry, write_trec
from xlir_bench.results.store import _write_ranks
from xlir_bench.submissions.tables import impossible
from xlir_bench.submissions.verify import judged_otherwise
from xlir_bench.suites import find, load

MEASURES = ["nDCG@10", "Judged@5", "Bpref", "infAP", "AP(judged_only=True)", "RR(rel=2)@10", "Compat", "Accuracy"]
SUITE = find("xlir-mini").with_measures(MEASURES)


class Letters:
    """Counts letters, weighted by a seed; deterministic."""

    def __init__(self, seed: int = 0):
        self.weights = np.random.default_rng(seed).random(128).astype(np.float32)

    def encode(self, texts, *, role, languages):
        vectors = np.zeros((len(texts), 128), np.float32)
        for row, text in enumerate(texts):
            for letter in text:
                vectors[row, ord(letter) % 128] += 1
        return vectors * self.weights


class Unused:
    def encode(self, texts, *, role, languages):
        raise AssertionError("nothing is to be encoded")


def model(name: str = "letters", seed: int = 0, encoder=None) -> Model:
    return Model(ModelInfo(name, name, name[0] * 64), encoder or Letters(seed))


@pytest.fixture(scope="module")
def collection():
    """Two languages of xlir-mini, graded, with documents judged not relevant and a query that has no other."""
    whole = load(find("xlir-mini"), None, ["de", "en"])
    rng, j = np.random.default_rng(5), whole.judgements
    gains = {(q, d): float(1 + q % 2) for q, d in zip(j.query.tolist(), j.document.tolist(), strict=True)}
    gains = {pair: 0.0 if pair[0] == 3 else gain for pair, gain in gains.items()}
    for query in range(len(whole.queries)):
        for document in rng.choice(len(whole.documents), 6, replace=False).tolist():
            gains.setdefault((query, document), float(rng.choice([0, 0, -1])))
    return replace(whole, judgements=Judgements.of((q, d, gain) for (q, d), gain in gains.items()))


@pytest.fixture(scope="module")
def measured(collection, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return run(model(), SUITE, collection, Output(folder, top_k=len(collection.documents)))


@pytest.fixture
def stored(collection, tmp_path):
    """A run of its own that a test may spoil."""
    return run(model(), SUITE, collection, tmp_path)


def test_every_figure_is_that_of_ir_measures_on_the_whole_rankings(measured, collection):
    """The runs hold every document; the judgements are those of the collection, whatever the exported ones say."""
    gains = {}
    j = collection.judgements
    for q, d, gain in zip(j.query.tolist(), j.document.tolist(), j.gain.tolist(), strict=True):
        gains.setdefault(collection.queries.ids[q], {})[collection.documents.ids[d]] = int(gain)
    index = json.loads((measured.runs / "runs.json").read_text())["runs"]
    assert {row["run"].split("/")[0] for row in index} == {"monolingual", "cross-lingual", "multilingual"}
    for row in index:
        lines = [line.split() for line in (measured.runs / row["run"]).read_text().splitlines()]
        # By rank: providers order equal scores differently.
        scored = [ir_measures.ScoredDoc(line[0], line[2], 1e6 - int(line[3])) for line in lines]
        judged = ir_measures.read_trec_qrels(str(measured.runs / row["qrels"]))
        in_pool = {line[2] for line in lines}
        qrels = [
            ir_measures.Qrel(query, document, gain)
            for query in {line[0] for line in lines}
            for document, gain in gains[query].items()
            if document in in_pool
        ]
        assert sorted(judged) == sorted(qrels)
        # One by one: with measures of other providers beside it, ir_measures counts an Accuracy that is undefined as 0.
        oracle = {name: ir_measures.parse_measure(name).calc_aggregate(qrels, scored) for name in MEASURES}
        assert row["scores"] == pytest.approx(oracle, abs=1e-6)


def test_names_in_a_result_are_canonical_and_the_first_is_primary(measured):
    assert list(measured.result.summary["monolingual"]) == MEASURES
    assert set(measured.result.primary.values()) == {"nDCG@10"}
    assert set(measured.result.intervals["multilingual"]) == set(MEASURES)


def test_a_finished_run_is_taken_as_it_is_and_one_whose_judged_ranks_are_gone_is_measured_again(stored, collection):
    folder = stored.path.parent.parent
    assert not run(model(encoder=Unused()), SUITE, collection, folder).measured_now
    judged_path(stored.path).unlink()
    assert run(model(), SUITE, collection, folder).measured_now
    assert load_verified(stored.path, analysis=True)[0] == load_result(stored.path)


def test_without_such_a_measure_only_relevant_documents_are_counted(collection, tmp_path):
    plain = run(model(), SUITE.with_measures(["nDCG@10"]), collection, tmp_path)
    assert not judged_path(plain.path).exists()
    assert load_ranks(ranks_path(plain.path)).not_relevant is None
    with_more = run(model(), SUITE, collection, tmp_path)
    assert with_more.measured_now
    assert with_more.path == plain.path
    assert judged_path(plain.path).exists()
    again = run(model(), SUITE.with_measures(["nDCG@10"]), collection, tmp_path)
    assert again.result == plain.result
    assert again.path != plain.path  # moved there by the fuller result
    assert not judged_path(again.path).exists()
    assert load_ranks(ranks_path(again.path)).not_relevant is None


def test_figures_whose_ranks_are_gone_are_refused_by_whoever_reads_them(stored):
    judged_path(stored.path).unlink()
    with pytest.raises(InputError, match=r"Judged@5 needs the ranks .* SUITE.judged.parquet .* is not there"):
        load_verified(stored.path)


@pytest.mark.parametrize(
    "change",
    [
        lambda others: {"outranked": np.roll(others.outranked, 1, axis=0)},
        lambda others: {"gain": np.where(others.gain == 0, -1.0, others.gain)},
    ],
    ids=["ranks", "gains"],
)
def test_figures_that_do_not_follow_from_the_judged_ranks_are_refused(stored, change):
    others = load_ranks(ranks_path(stored.path)).not_relevant
    _write_ranks(replace(others, **change(others)), judged_path(stored.path))
    with pytest.raises(InputError, match="from its ranks follows"):
        load_verified(stored.path)


def test_judged_ranks_that_no_ranking_has_are_named(stored, collection):
    ranks = load_ranks(ranks_path(stored.path))
    assert impossible(ranks) is None
    assert not list(judged_otherwise(stored.result, ranks, collection))
    others = ranks.not_relevant
    changes = {
        "two documents of one language have the same rank": {"outranked": np.zeros_like(others.outranked)},
        "a gain of a document that is judged not relevant is above 0": {"gain": others.gain + 2},
        "for a query that is not in the table": {"query": others.query + 10_000},
    }
    for reason, change in changes.items():
        assert reason in impossible(replace(ranks, not_relevant=replace(others, **change)))
    too_many = replace(ranks, left_out={0: (10_000, 0)})
    assert "leaves out more documents than there are" in impossible(too_many)
    fewer = replace(others, gain=np.where(others.gain < 0, 0.0, others.gain))
    found = list(judged_otherwise(stored.result, replace(ranks, not_relevant=fewer), collection))
    assert [one.figure for one in found] == ["judgements changed"]


def test_streaming_gives_the_same_figures(measured, collection):
    streamed = evaluate(model(), SUITE, collection, cache=Streaming(shard_size=37)).result
    assert streamed.scores == measured.result.scores


def test_within_languages_alone_the_figures_are_the_same(measured, collection):
    alone = evaluate(model(), SUITE.narrowed(["monolingual"]), collection).result
    assert alone.scores == tuple(score for score in measured.result.scores if score.setting == "monolingual")


def test_runs_are_compared_and_gated_by_such_measures(measured, collection, tmp_path):
    other = run(model("other", seed=1), SUITE, collection, tmp_path)
    runs = [load_run(measured.path), load_run(other.path)]
    found = {(d.setting, d.measure): d for d in compare(runs).settings}
    for name in MEASURES:
        said = [one.result.summary["multilingual"][name] for one in runs]
        assert (found["multilingual", name].mean_a, found["multilingual", name].mean_b) == pytest.approx(said)
    policy = Policy(rules=(Rule(measure=("Bpref", "RR(rel=2,judged_only=False)@10"), budget="0.5"),))
    checks = gate([runs[1]], [runs[0]], policy).checks
    assert {check.figure.measure for check in checks} == {"Bpref", "RR(rel=2)@10"}
    for check in checks:
        assert (check.baseline, check.candidate) == pytest.approx(
            tuple(one.result.summary[check.figure.setting][check.figure.measure] for one in runs)
        )


def test_runs_with_made_up_ids_say_no_figure_that_does_not_follow_from_them(measured, tmp_path):
    write_trec(Entry(load_result(measured.path), measured.path), tmp_path)
    (index,) = tmp_path.rglob("scores.json")
    rows = json.loads(index.read_text())
    assert {name for row in rows for name in row["scores"]} == {"nDCG@10", "RR(rel=2)@10"}
    for row in rows:
        qrels = list(ir_measures.read_trec_qrels(str(index.parent / row["qrels"])))
        scored = list(ir_measures.read_trec_run(str(index.parent / row["run"])))
        oracle = ir_measures.calc_aggregate([ir_measures.parse_measure(name) for name in row["scores"]], qrels, scored)
        assert row["scores"] == pytest.approx({str(measure): value for measure, value in oracle.items()}, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("AP(rel=2)", "no document has a gain of 2; the greatest is 1"),
        ("Bpref", "no document is judged not relevant"),
        ("P(judged_only=True)@5", "no document is judged not relevant"),
    ],
)
def test_what_the_data_cannot_say_is_refused_before_anything_is_encoded(name, reason, tmp_path):
    suite = find("xlir-mini").with_measures([name])
    with pytest.raises(InputError, match=reason) as refusal:
        run(model(encoder=Unused()), suite, load(suite, None, ["de", "en"]), tmp_path)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_grades_that_a_measure_does_not_know_are_refused(collection, tmp_path):
    j = collection.judgements
    graded = replace(collection, judgements=Judgements(j.query, j.document, j.gain * 3))
    for name, reason in (("ERR@10", "gains up to 4, and the greatest is 6"), ("RBP", r"write RBP\(rel=1\)")):
        with pytest.raises(InputError, match=reason):
            evaluate(model(encoder=Unused()), SUITE.with_measures([name]), graded)


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_measures_of_the_command_replace_those_of_the_suite(tmp_path):
    listed = "nDCG(dcg='exp-log2')@10, MAP(rel=1),RR@10"
    arguments = ("--languages", "de,en", "--output", tmp_path, "--measures", listed, "--json")
    finished = invoke("run", "bm25", *arguments)
    assert finished.exit_code == 0, finished.output
    result = json.loads(finished.stdout)
    expected = ["nDCG(dcg='exp-log2')@10", "AP", "RR@10"]
    assert {setting: list(names) for setting, names in result["summary"].items()} == dict.fromkeys(
        ("monolingual", "cross-lingual", "multilingual"), expected
    )
    assert set(result["primary"].values()) == {expected[0]}
    page = (tmp_path / "index.html").read_text()
    assert "nDCG(dcg=" in page


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("nDCG@10,,AP", "a name is empty"),
        ("AP,MAP", "AP and MAP are the same"),
        ("nDGC@10", "did you mean nDCG"),
        ("alpha_nDCG@20", "judgements by subtopic"),
        ("AP(rel=9)", "no document has a gain of 9"),
    ],
)
def test_measures_that_cannot_be_are_refused_in_one_line(listed, message, tmp_path):
    finished = invoke("run", "bm25", "--languages", "de,en", "--output", tmp_path / "out", "--measures", listed)
    assert isinstance(finished.exception, InputError)
    assert message in str(finished.exception)
    assert "\n" not in str(finished.exception)


def test_the_suite_of_the_page_has_measures_that_can_be_read():
    page = (Path(__file__).resolve().parents[2] / "docs" / "suites.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "judged_only" in block]
    settings = yaml.safe_load(block)["settings"]
    assert distinct(settings["multilingual"]) == ("nDCG(dcg='exp-log2',judged_only=True)@10", "rank_distance")
    assert distinct(settings["cross-lingual"]) == ("nDCG@10", "AP(rel=2)")


def test_a_suite_takes_parameters_and_two_names_of_one_measure_are_a_slip(tmp_path):
    suite = find("xlir-mini")
    declared = suite.model_validate(
        {**suite.model_dump(), "settings": {"monolingual": ["MRR(rel=2)@10", "nDCG(gains={2: 3})"]}}
    )
    assert declared.settings == {"monolingual": ("RR(rel=2)@10", "nDCG(gains={2:3})")}
    with pytest.raises(ValueError, match="MAP and AP are the same"):
        suite.model_validate({**suite.model_dump(), "settings": {"monolingual": ["MAP", "AP"]}})
