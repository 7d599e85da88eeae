"""Rules about figures of bias: which direction is a loss, what tells whether it is real, where they are refused."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import xlir_bench as xb
from xlir_bench.analysis import Run
from xlir_bench.analysis.fairness import FIGURES, without_cutoff
from xlir_bench.errors import InputError
from xlir_bench.gating import Budget, Policy, Rule, gate, read_policy
from xlir_bench.gating.scale import Scale
from xlir_bench.gating.verdict import BIAS, Figure
from xlir_bench.measures.statistics import exchange_test, randomisation_test

WHOLE = sorted(name for name, figure in FIGURES.items() if not figure.by_document)
OF_DOCUMENTS = sorted(name for name, figure in FIGURES.items() if figure.by_document)


@pytest.fixture(scope="module")
def runs() -> tuple[Run, Run]:
    """Random vectors, which prefer nothing, and BM25, which finds its own language; on two languages."""
    found = [xb.evaluate(name, "xlir-mini", languages=["de", "th"]) for name in ("random", "bm25")]
    return tuple(Run(one.model, one.stored, one.ranks) for one in found)


def checks_of(candidate: Run, baseline: Run, *rules: Rule):
    return {str(check.figure): check for check in gate([candidate], [baseline], Policy(rules=rules)).checks}


def test_every_figure_that_a_result_stores_can_be_asked_for(runs):
    for run in runs:
        bias = run.result.bias
        stored = {*bias.summary, *bias.query_languages, *bias.maps}
        assert {without_cutoff(name) for name in stored} <= set(FIGURES)
        assert {without_cutoff(name) for name in bias.query_languages} <= {n for n, f in FIGURES.items() if f.by_query}
        assert {without_cutoff(name) for name in bias.maps} == set(OF_DOCUMENTS)


# What each figure should be, as docs/measures.md says, and a worse value.
@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("rank_distance", 10.0, 400.0),
        ("AWRF@100", 0.9, 0.3),
        ("same_language_lift@10", 1.0, 5.0),
        ("same_language_lift@10", 0.9, 0.2),
        ("PEER_nonrelevant@100", 0.5, 0.01),
        ("epsilon_squared", 0.1, 0.5),
        ("MRC@10", -0.2, -0.8),
        ("limit_to_one_target.gap", -0.1, 0.5),
        ("limit_to_one_target.gap", 0.1, -0.5),
        ("limit_to_one_target.other", 0.4, 0.1),
        ("language_advantage.other", -0.1, -0.6),
        ("language_advantage.spread", 0.1, 0.2),
        ("hubness@10", 0.3, 17.0),
        ("exposure@100", 0.24, 0.6),
        ("exposure@100", 0.24, 0.01),
    ],
)
def test_more_biased_is_worse(name, better, worse):
    scale = Scale.of(Figure("suite", BIAS, name, document_language="th"), {"th": 0.25})
    assert scale.badness(worse) > scale.badness(better)


def test_the_loss_of_a_figure_is_how_far_it_moved_from_what_is_fair(runs):
    random, bm25 = runs
    rules = [Rule(bias=tuple(WHOLE), budget=0)]
    checks = checks_of(bm25, random, *rules)
    mine, theirs = bm25.result.bias.summary, random.result.bias.summary
    fair = {"same_language_lift@10": 1.0, "rank_distance": 0.0, "epsilon_squared": 0.0, "hubness@10": 0.0}
    higher = {"AWRF@100", "PEER_nonrelevant@100", "PEER_pooled", "MRC@10"}
    assert {one.removeprefix("xlir-mini bias ") for one in checks} == set(mine)
    for name, value in mine.items():
        found = checks[f"xlir-mini bias {name}"]
        assert (found.candidate, found.baseline) == pytest.approx((value, theirs[name]), abs=2e-6)
        if name in higher or (name.startswith("limit_to_one_target.") and not name.endswith("gap")):
            expected = theirs[name] - value
        else:
            expected = abs(value - fair.get(name, 0.0)) - abs(theirs[name] - fair.get(name, 0.0))
        assert found.loss == pytest.approx(expected, abs=5e-6), name
    assert checks["xlir-mini bias AWRF@100"].verdict == "loss"
    assert checks["xlir-mini bias same_language_lift@10"].verdict == "loss"
    assert all(check.verdict == "passed" for check in checks_of(bm25, bm25, *rules).values())


def test_a_figure_without_a_test_says_that_the_plain_difference_counts(runs):
    random, bm25 = runs
    checks = checks_of(bm25, random, Rule(bias=("hubness", "epsilon_squared", "AWRF"), budget=0))
    hubness, effect, fairness = checks.values()
    assert (hubness.verdict, hubness.basis, hubness.interval, hubness.p) == ("loss", "difference", None, None)
    assert "the plain difference counts: this figure has no test" in hubness.reason
    assert (effect.verdict, effect.basis, effect.p) == ("loss", "interval", None)
    assert effect.interval[0] > 0
    assert "its interval is above 0" in effect.reason
    assert (fairness.basis, fairness.verdict) == ("test", "loss")
    assert fairness.adjusted_p < 0.05


def test_budgets_are_in_the_units_of_the_figure_or_shares_of_its_distance_from_fair(runs):
    random, bm25 = runs
    name = "same_language_lift@10"
    lift = random.result.bias.summary[name], bm25.result.bias.summary[name]
    (check,) = checks_of(random, bm25, Rule(bias="same_language_lift", budget=Budget(0.1, relative=True))).values()
    assert check.allowed == pytest.approx(0.1 * abs(lift[1] - 1.0), abs=1e-5)
    (check,) = checks_of(bm25, random, Rule(bias="rank_distance", budget="500 %")).values()
    assert check.verdict == "passed"
    with pytest.raises(InputError, match="lets AWRF@100 lose all it has"):
        checks_of(bm25, random, Rule(bias="AWRF", budget=2))


def test_a_floor_of_a_figure_with_a_fair_value_is_the_furthest_that_passes(runs):
    random, bm25 = runs
    (check,) = checks_of(bm25, bm25, Rule(bias="same_language_lift", floor=1.5)).values()
    assert (check.verdict, "further from 1 than the floor of 1.5" in check.reason) == ("floor", True)
    (check,) = checks_of(random, bm25, Rule(bias="same_language_lift", floor=1.5)).values()
    assert check.verdict == "passed"


def test_figures_by_language_and_by_pair(runs):
    random, bm25 = runs
    rules = (
        Rule(bias="AWRF", query_languages="each", budget=0.01),
        Rule(bias="exposure", document_languages=("th",), budget=0.01),
        Rule(bias="language_advantage", query_languages=("de",), document_languages="each", budget=0.01),
    )
    checks = checks_of(bm25, random, *rules)
    bias = bm25.result.bias
    values = {name.removeprefix("xlir-mini bias "): check.candidate for name, check in checks.items()}
    assert values == {
        "AWRF@100 de": pytest.approx(bias.query_languages["AWRF@100"]["de"], abs=2e-6),
        "AWRF@100 th": pytest.approx(bias.query_languages["AWRF@100"]["th"], abs=2e-6),
        "exposure@100 * to th": pytest.approx(bias.document_languages["exposure@100"]["th"], abs=2e-6),
        "language_advantage de to de": pytest.approx(bias.maps["language_advantage"]["de"]["de"], abs=2e-6),
        "language_advantage de to th": pytest.approx(bias.maps["language_advantage"]["de"]["th"], abs=2e-6),
    }


def test_an_edited_figure_of_bias_is_refused(runs):
    random, bm25 = runs
    bias = bm25.result.bias
    better = bias.model_copy(update={"summary": bias.summary | {"AWRF@100": 0.99}})
    edited = Run(bm25.name, bm25.result.model_copy(update={"bias": better}), bm25.ranks)
    with pytest.raises(InputError, match=r"the result says AWRF@100 0.99, but from its ranks follows 0\.\d+; run"):
        checks_of(edited, random, Rule(bias="AWRF", budget=0.01))


def test_what_has_no_figures_of_bias_is_missing_by_name_and_passed_over_by_wildcard(runs, make_run):
    named = checks_of(make_run(), make_run("old"), Rule(suite="small", bias=("AWRF", "hubness"), budget=0.1))
    assert [check.reason for check in named.values()] == ["the candidate has no figures of bias on small"] * 2
    with pytest.raises(InputError, match="checks nothing of the baseline"):
        checks_of(make_run(), make_run("old"), Rule(bias="AWRF", budget=0.1))


def test_a_rule_of_any_suite_that_finds_nothing_is_named(runs, tmp_path, capsys, caplog):
    (tmp_path / "gate.yaml").write_text("rules: [{measure: primary, floor: 0}, {bias: AWRF@7, budget: 0.1}]")
    gate([runs[0]], [runs[1]], read_policy(tmp_path / "gate.yaml"))
    assert "gate.yaml: rule 2 checks nothing" in caplog.text + capsys.readouterr().err


def test_a_policy_file_names_figures_of_bias(tmp_path):
    (tmp_path / "gate.yaml").write_text("rules: [{bias: [AWRF, language_advantage.spread], budget: 10 %}]")
    (rule,) = read_policy(tmp_path / "gate.yaml").rules
    assert rule.bias == ("AWRF", "language_advantage.spread")


def spread_of(values: np.ndarray) -> float:
    return float(np.sqrt(((values - values.mean()) ** 2).mean()))


def test_p_of_a_spread_is_that_of_exchanging_every_question_in_every_way():
    generator = np.random.default_rng(5)
    first, second = generator.random((8, 3)), generator.random((8, 3)) * [1.0, 2.0, 3.0]

    def difference(swapped) -> float:
        one = np.where(np.array(swapped)[:, None], second, first).mean(axis=0)
        other = np.where(np.array(swapped)[:, None], first, second).mean(axis=0)
        return spread_of(other) - spread_of(one)

    observed = abs(difference([False] * 8))
    every = [abs(difference(swapped)) for swapped in product([False, True], repeat=8)]
    expected = np.mean([value >= observed - 1e-12 for value in every])
    assert exchange_test(first / 8, second / 8, lambda means: np.std(means, axis=1)) == pytest.approx(expected)


def test_p_of_a_single_sum_is_that_of_the_randomisation_test():
    generator = np.random.default_rng(6)
    first, second = generator.random((40, 1)), generator.random((40, 1)) + 0.1
    (expected,) = randomisation_test(second - first)
    assert exchange_test(first, second, lambda sums: sums[:, 0]) == pytest.approx(expected)
