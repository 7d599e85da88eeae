"""How a policy is written, and which figures it is about."""

from __future__ import annotations

import re

import pytest

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.gating import Budget, Figure, Policy, Rule, expand, gate, read_policy


def asked(make_run, *rules: Rule) -> dict[Figure, tuple[Budget | None, float | None]]:
    results = {"small": make_run("old").result}
    return {one.figure: (one.budget, one.floor) for one in expand(Policy(rules=rules), results, {})}


def languages(figures) -> set[tuple[str, str]]:
    return {(figure.query_language, figure.document_language) for figure in figures}


def test_the_shipped_policy_checks_every_setting_and_every_query_language(make_run):
    checks = gate([make_run()], [make_run("old")], read_policy()).checks
    settings = ("monolingual", "cross-lingual", "multilingual")
    expected = {Figure("small", setting, "AP", code) for setting in settings for code in ("*", "de", "en")}
    assert {check.figure for check in checks} == expected | {Figure("small", "multilingual", "rank_distance")}


@pytest.mark.parametrize(
    ("written", "budget"),
    [("0.01", Budget(0.01)), ("2 %", Budget(0.02, True)), ("2%", Budget(0.02, True)), (0, Budget(0.0))],
)
def test_a_budget_is_absolute_or_a_share(written, budget):
    assert Rule(budget=written).budget == budget


def test_languages_of_a_rule_are_named_by_any_tag():
    rule = Rule(query_languages=("deu", "pt-BR"), setting="cross-lingual", document_languages=("zho",), budget=0.1)
    assert (rule.query_languages, rule.document_languages) == (("de", "pt"), ("zh",))
    for tags, message in ((("zh", "cmn"), "the list has both zh and cmn"), (("xx",), "unknown language 'xx'")):
        with pytest.raises(ValueError, match=message):
            Rule(query_languages=tags, budget=0.1)


def test_each_is_one_check_per_language_and_both_sides_one_per_pair(make_run):
    sides = {"query_languages": "each", "document_languages": "each"}
    assert languages(asked(make_run, Rule(query_languages="each", budget=0.1))) == {("de", "*"), ("en", "*")}
    pairs = asked(make_run, Rule(setting="cross-lingual", budget=0.1, **sides))
    assert languages(pairs) == {("de", "en"), ("en", "de")}
    to = asked(make_run, Rule(setting="cross-lingual", document_languages=("de",), budget=0.1))
    assert languages(to) == {("*", "de")}


def test_a_later_rule_about_the_same_figure_replaces_what_it_has(make_run):
    found = asked(
        make_run,
        Rule(query_languages="each", budget=0.03, floor=0.2),
        Rule(query_languages=("en",), setting="monolingual", budget=0.1),
    )
    assert found[Figure("small", "monolingual", "AP", "de")] == (Budget(0.03), 0.2)
    assert found[Figure("small", "monolingual", "AP", "en")] == (Budget(0.1), 0.2)


def test_of_any_suite_what_a_suite_lacks_is_passed_over_but_not_what_is_asked_of_it_by_name(make_run):
    everywhere = Rule(measure="nDCG@10", budget=0.1)
    with pytest.raises(InputError, match="the policy checks nothing of the baseline, which has small"):
        asked(make_run, everywhere)
    named = asked(make_run, Rule(suite="small", measure="nDCG@10", setting="monolingual", budget=0.1))
    assert list(named) == [Figure("small", "monolingual", "nDCG@10")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: []", "field rules does not take []: write a list of at least one rule"),
        ("alpha: 0.05", "field rules is missing: write a list of at least one rule"),
        ("rules: [AP]", "rule 1: 'AP' was found where a mapping of fields"),
        (
            "rules: [{budget: 0.1}, {budget: 0.1, query_languages: some}]",
            "rule 2, field query_languages does not take 'some': write all, each, or",
        ),
        ("rules: [{budget: 0.1, bias: AWFR}]", "rule 1, field bias: unknown figure of bias 'AWFR': did you mean AWRF"),
        ("rules: [{budget: 0.1, bias: AWRF, measure: AP}]", "rule 1: a rule has bias or measure, not both"),
        ("rules: [{budget: 0.1, bias: exposure}]", "write `document_languages: each`"),
        ("rules: [{budget: 0.1, bias: hubness, query_languages: each}]", "leave out `query_languages`"),
        ("rules: [{suite: xquad-r}]", "a rule needs a budget, a floor, or both"),
        ("rules: [{budget: much}]", "'much' is no budget"),
        ("rules: [{budget: -0.1}]", "'-0.1' is no budget"),
        ("rules: [{budget: 0.1, measure: APP}]", "unknown measure 'APP': did you mean AP"),
        (
            "rules: [{budget: 0.1, setting: bilingual}]",
            "rule 1, field setting does not take 'bilingual': write monolingual, cross-lingual, multilingual",
        ),
        ("rules: [{budget: 0.1, floors: 1}]", "rule 1 has an unknown field 'floors': did you mean floor?"),
        ("rules: [{budget: 0.1, document_languages: each}]", "document_languages are of the cross-lingual setting"),
        ("rules: [{floor: nan}]", "rule 1, field floor does not take 'nan': write a number"),
        ("alpha: 5\nrules: [{budget: 0.1}]", "alpha"),
        ("rules: [{budget: 0.1}", "not YAML"),
        ("", "not a policy"),
    ],
)
def test_a_policy_that_is_none_is_refused_with_the_place(tmp_path, text, message):
    (tmp_path / "gate.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        read_policy(tmp_path / "gate.yaml")
    assert message in str(refused.value)
    assert "gate.yaml" in str(refused.value)
    assert not re.search(r"pydantic|Input should|literal|Extra inputs|Tuple", str(refused.value))


def test_a_policy_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(MissingResourceError, match="no such file"):
        read_policy(tmp_path / "gate.yaml")


def test_norwegian_is_a_language(tmp_path):
    (tmp_path / "gate.yaml").write_text("rules: [{query_languages: [no, en], budget: 0.1}]")
    assert read_policy(tmp_path / "gate.yaml").rules[0].query_languages == ("no", "en")


@pytest.mark.parametrize("budget", ["2", "100 %"])
def test_a_budget_that_lets_everything_pass_is_refused(make_run, budget):
    with pytest.raises(InputError, match=r"rule 1, field budget: a budget of .* lets AP lose all it has"):
        asked(make_run, Rule(budget=budget))


def test_a_measure_without_a_bound_may_have_a_budget_above_one(make_run):
    rule = Rule(setting="multilingual", measure="rank_distance", budget=100)
    assert list(asked(make_run, rule).values()) == [(Budget(100.0), None)]
