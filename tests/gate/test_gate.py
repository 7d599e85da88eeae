"""What the gate decides, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xlir_bench.analysis import Run
from xlir_bench.errors import InputError
from xlir_bench.gating import Figure, Policy, Rule, gate
from xlir_bench.gating.github import summary, workflow_commands

BUDGET = Policy(rules=(Rule(budget=0.05),))


def of(report, setting="monolingual", measure="AP", query_language="*", document_language="*"):
    """The one check of a figure."""
    figure = Figure("small", setting, measure, query_language, document_language)
    (check,) = (check for check in report.checks if check.figure == figure)
    return check


def with_reference(run: Run, **changes) -> Run:
    suite = run.result.suite.model_copy(update=changes)
    return replace(run, result=run.result.model_copy(update={"suite": suite}))


def without(run: Run, setting: str, measure: str | None = None) -> Run:
    """The run of a suite that has no such setting, or no such measure in it."""
    summary = {s: dict(measures) for s, measures in run.result.summary.items()}
    if measure is None:
        del summary[setting]
    else:
        del summary[setting][measure]
    scores = tuple(s for s in run.result.scores if s.setting in summary and s.measure in summary[s.setting])
    return replace(run, result=run.result.model_copy(update={"summary": summary, "scores": scores}))


def test_an_encoder_passes_against_itself_with_a_budget_of_nothing(make_run):
    run = make_run()
    report = gate([run], [run], Policy(rules=(Rule(budget=0), Rule(query_languages="each", budget=0))))
    assert report.passed
    assert {check.loss for check in report.checks} == {0.0}
    assert {check.adjusted_p for check in report.checks} == {1.0}


def test_a_clear_loss_past_the_budget_fails(make_run):
    report = gate([make_run(shift=-2.0)], [make_run("old")], BUDGET)
    check = of(report)
    assert check.verdict == "loss"
    assert check.loss > check.allowed == 0.05
    assert check.adjusted_p < 0.05
    assert not report.passed


def test_a_real_loss_within_its_budget_passes(make_run):
    baseline, candidate = make_run("old"), make_run(shift=-0.4)
    policy = Policy(rules=(Rule(setting="cross-lingual", budget=0.5),))
    (check,) = gate([candidate], [baseline], policy).checks
    assert check.adjusted_p < 0.05
    assert check.loss > 0
    assert check.verdict == "passed"


def test_a_loss_past_the_budget_that_chance_explains_passes_and_is_said(make_run):
    # One question of forty falls from the top to the bottom: a loss of about a fortieth, on one question's word.
    shift = np.zeros(160)
    shift[0] = -9.0
    baseline, candidate = make_run("old"), make_run(shift=shift)
    (check,) = gate([candidate], [baseline], Policy(rules=(Rule(setting="monolingual", budget=0.0001),))).checks
    assert check.loss > check.allowed
    assert check.p == 1.0
    assert check.verdict == "unproven"
    assert "may be chance" in check.reason


def test_a_gain_is_never_a_loss_however_sure(make_run):
    report = gate([make_run(shift=2.0)], [make_run("old")], BUDGET)
    assert report.passed
    assert of(report).loss < 0
    assert of(report).adjusted_p < 0.05


def test_of_a_measure_of_which_less_is_better_more_is_a_loss(make_run):
    policy = Policy(rules=(Rule(setting="multilingual", measure="rank_distance", budget="5 %"),))
    worse, better = make_run("old", shift=-2.0), make_run("new")
    (lost,) = gate([worse], [better], policy).checks
    (gained,) = gate([better], [worse], policy).checks
    assert (lost.verdict, gained.verdict) == ("loss", "passed")
    assert lost.loss == pytest.approx(lost.candidate - lost.baseline) == -gained.loss


def test_a_relative_budget_is_a_share_of_the_baseline(make_run):
    (check,) = gate([make_run()], [make_run("old")], Policy(rules=(Rule(setting="monolingual", budget="20 %"),))).checks
    assert check.allowed == pytest.approx(0.2 * make_run().result.summary["monolingual"]["AP"])


def test_a_figure_past_its_floor_fails_even_where_nothing_was_lost(make_run):
    run = make_run()
    policy = Policy(
        rules=(
            Rule(setting="monolingual", floor=0.999),
            Rule(setting="multilingual", measure="rank_distance", floor=0.5),
            Rule(setting="multilingual", measure="AP", floor=0.001),
        )
    )
    report = gate([run], [run], policy)
    assert [check.verdict for check in report.checks] == ["floor", "floor", "passed"]
    assert "below the floor" in report.checks[0].reason
    assert "above the floor" in report.checks[1].reason


def test_figures_are_those_of_the_result_and_losses_their_differences(make_run):
    candidate, baseline = make_run(shift=-0.5, seed=1), make_run("old")
    policy = Policy(
        rules=(
            Rule(setting="cross-lingual", query_languages="each", document_languages="each", budget=0.1),
            Rule(budget=0.1),
        )
    )
    report = gate([candidate], [baseline], policy)
    for check in report.checks:
        figure = check.figure
        for side, run in ((check.candidate, candidate), (check.baseline, baseline)):
            stated = {
                (s.query_language, s.document_language): s.value
                for s in run.result.scores
                if (s.setting, s.measure) == (figure.setting, figure.measure)
            }
            pair = (figure.query_language, figure.document_language)
            assert side == pytest.approx(stated.get(pair, np.mean(list(stated.values()))))
        assert check.loss == pytest.approx(check.baseline - check.candidate)
        assert check.interval[0] <= check.loss <= check.interval[1]


def test_p_is_adjusted_over_all_checks_with_a_budget_of_all_suites(make_run):
    shift = -0.3
    one = gate([make_run(shift=shift)], [make_run("old")], Policy(rules=(Rule(setting="monolingual", budget=0),)))
    two = gate(
        [make_run(shift=shift), make_run(shift=shift, suite_name="other")],
        [make_run("old"), make_run("old", suite_name="other")],
        Policy(rules=(Rule(setting="monolingual", budget=0), Rule(setting="multilingual", floor=0.0))),
    )
    assert one.checks[0].adjusted_p == one.checks[0].p
    first, second = (check for check in two.checks if check.budget is not None)
    assert first.p == second.p == one.checks[0].p
    assert first.adjusted_p == second.adjusted_p == min(1.0, 2 * first.p)


def test_the_question_is_the_unit_of_the_test(make_run):
    """Forty questions with two versions each are forty observations: p is that of their forty sums."""
    candidate, baseline = make_run(shift=-0.15), make_run("old")
    (check,) = gate([candidate], [baseline], Policy(rules=(Rule(setting="monolingual", budget=0),))).checks
    assert check.questions == 40
    per_row = [[row.judged.ranks[:, 0] for row in run.ranks.rows("monolingual")] for run in (baseline, candidate)]
    losses = sum(1 / a - 1 / b for a, b in zip(*per_row, strict=True)) / 2
    generator = np.random.default_rng(0)
    signs = generator.choice([-1, 1], size=(20_000, 40))
    independent = (np.abs(signs @ losses) >= abs(losses.sum()) - 1e-9).mean()
    assert check.p == pytest.approx(independent, abs=0.015)
    assert check.loss == pytest.approx(losses.mean())


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (lambda run: without(run, "multilingual"), "the candidate has no multilingual setting on small"),
        (
            lambda run: without(run, "multilingual", "AP"),
            "the candidate has no AP in the multilingual setting of small",
        ),
        (lambda run: with_reference(run, languages=("de",)), "the candidate has no en on small"),
        (lambda run: with_reference(run, name="else"), "the candidate has no result on small"),
    ],
    ids=["setting", "measure", "language", "suite"],
)
def test_what_the_candidate_lacks_fails(make_run, candidate, reason):
    report = gate([candidate(make_run())], [make_run("old")], BUDGET)
    check = of(report, "multilingual")
    assert check.verdict == "missing"
    assert reason in check.reason
    assert not report.passed


def test_a_language_that_a_rule_names_and_nobody_was_measured_in_fails(make_run):
    policy = Policy(rules=(Rule(query_languages=("de", "sw"), setting="monolingual", budget=0.1),))
    present, absent = gate([make_run()], [make_run("old")], policy).checks
    assert present.verdict == "passed"
    assert absent.verdict == "missing"
    assert "no row sw in the monolingual setting" in absent.reason


def test_what_the_baseline_lacks_fails_where_a_budget_needs_it_but_not_a_floor(make_run):
    candidate, baseline = make_run(suite_name="new"), make_run("old")
    policy = Policy(
        rules=(
            Rule(suite="new", setting="monolingual", budget=0.1),
            Rule(suite="new", setting="multilingual", floor=0.001),
            Rule(suite="neither", setting="multilingual", floor=0.001),
        )
    )
    report = gate([candidate], [baseline], policy)
    assert [check.verdict for check in report.checks] == ["missing", "passed", "missing"]
    assert "the baseline has no result on new" in report.checks[0].reason
    assert "neither side" in report.checks[2].reason


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (lambda run: with_reference(run, version=7), "the baseline was measured on version 7 of the suite"),
        (lambda run: with_reference(run, fingerprint="0" * 64), "the baseline was measured on data 000000000000"),
        (lambda run: with_reference(run, languages=("de",)), "fewer languages than the candidate, without en"),
    ],
    ids=["version", "fingerprint", "languages"],
)
def test_a_baseline_of_other_data_is_refused(make_run, baseline, message):
    with pytest.raises(InputError, match=message):
        gate([make_run()], [baseline(make_run("old"))], BUDGET)


def test_ranks_of_other_queries_than_the_fingerprint_says_are_refused(make_run):
    candidate, baseline = make_run(), make_run("old")
    renamed = baseline.ranks.query_id.copy()
    renamed[:] = [f"other {name}" for name in renamed]
    swapped = replace(baseline, ranks=replace(baseline.ranks, query_id=renamed))
    with pytest.raises(InputError, match="other queries"):
        gate([candidate], [swapped], BUDGET)


def test_a_result_that_does_not_follow_from_its_ranks_is_refused(make_run):
    honest, bad = make_run("old"), make_run(shift=-2.0)
    flattering = replace(bad, result=bad.result.model_copy(update={"summary": honest.result.summary}))
    with pytest.raises(InputError, match="from its ranks follows"):
        gate([flattering], [honest], BUDGET)


def test_several_encoders_on_one_side_are_refused(make_run):
    with pytest.raises(InputError, match="the candidate is one encoder, but there are results of a and b"):
        gate([make_run("a"), make_run("b")], [make_run("old")], BUDGET)
    with pytest.raises(InputError, match="the baseline has two results on small"):
        gate([make_run()], [make_run("old"), make_run("old")], BUDGET)


def test_a_budget_that_no_test_could_ever_see_passed_is_refused(make_run):
    """With n questions the least possible p is 2 / 2^n."""
    run = make_run()
    few = np.isin(run.ranks.question.astype(str), ["q00", "q01", "q02", "q03"])
    ranks = run.ranks
    columns = ("query", "query_id", "question", "query_language", "document_id", "document_language")
    columns += ("gain", "tied", "outranked")
    kept = {name: getattr(ranks, name)[few] for name in columns}
    small = replace(run, ranks=replace(ranks, ahead=None, leaders=None, **kept))
    judged = [row.judged.ranks[:, 0] for row in small.ranks.rows("monolingual")]
    summary = {"monolingual": {"AP": float(np.mean([np.mean(1 / ranks) for ranks in judged]))}}
    small = replace(small, result=run.result.model_copy(update={"summary": summary}))
    with pytest.raises(InputError, match=r"no test can prove a loss on 4 questions,.* it takes 6"):
        gate([small], [small], Policy(rules=(Rule(setting="monolingual", budget=0.1),)))
    assert gate([small], [small], Policy(rules=(Rule(setting="monolingual", floor=0.0),))).passed


def named(run, fingerprint):
    """A run whose model has another fingerprint."""
    model = run.result.model.model_copy(update={"fingerprint": fingerprint})
    return replace(run, result=run.result.model_copy(update={"model": model}))


def test_a_model_that_is_compared_with_itself_is_said_to_be(make_run):
    run = make_run()
    report = gate([run], [run], BUDGET)
    assert report.passed
    digits = run.result.model.fingerprint[:12]
    assert report.notice == f"candidate and baseline are the same model (fingerprint {digits}): nothing was compared"
    assert report.as_dict()["same_model"] is True
    assert "nothing was compared" in summary(report)
    assert any(
        line.startswith("::warning title=gate::candidate and baseline are") for line in workflow_commands(report)
    )


def test_one_fingerprint_with_other_ranks_is_said_to_hide_a_change(make_run):
    report = gate([named(make_run("a", shift=-2.0), "f" * 64)], [named(make_run("b"), "f" * 64)], BUDGET)
    assert "rank differently" in report.notice


def test_two_models_have_no_notice(make_run):
    report = gate([make_run("a")], [make_run("b")], BUDGET)
    assert report.notice is None
    assert report.as_dict()["same_model"] is False
