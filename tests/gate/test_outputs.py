"""The report as continuous integration reads it: JUnit XML, annotations, the step's summary."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlir_bench.gating import Budget, Check, Figure, GateReport, Policy, Rule, gate, junit
from xlir_bench.gating.github import ROWS, SHOWN, summary, workflow_commands
from xlir_bench.gating.verdict import Side

HOSTILE = "<script>alert(1)</script> | [x](javascript:1) ]]> ::error::x\n::stop-commands::\r\x00\ud800 %0A"


def report_of(*checks: Check) -> GateReport:
    candidate, baseline = Side("model", "0" * 64, "1"), Side("model", "1" * 64, "1")
    return GateReport(candidate, baseline, 0.05, checks)


def check(verdict="loss", suite="small", reason="lost .1") -> Check:
    return Check(Figure(suite, "multilingual", "AP", "de"), verdict, reason, Budget(0.01), 0.2)


@pytest.fixture
def mixed(make_run) -> GateReport:
    """A report with a loss, a floor, a missing language and a pass."""
    rules = (
        Rule(setting="monolingual", budget=0.05),
        Rule(setting="multilingual", measure="rank_distance", budget="5000 %"),
        Rule(setting="multilingual", floor=0.99),
        Rule(setting="multilingual", query_languages=("sw",), budget=0.1),
    )
    return gate([make_run(shift=-2.0)], [make_run("old")], Policy(rules=rules))


def test_junit_counts_and_names_every_check(mixed):
    root = ElementTree.fromstring(junit(mixed).encode())
    (suite,) = root
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "small")
    assert suite.get("tests") == root.get("tests") == "4"
    assert suite.get("failures") == root.get("failures") == "3"
    kinds = {
        (case.get("classname"), case.get("name")): [failure.get("type") for failure in case.iter("failure")]
        for case in suite
    }
    assert kinds == {
        ("small.monolingual", "AP"): ["loss"],
        ("small.multilingual", "rank_distance"): [],
        ("small.multilingual", "AP"): ["floor"],
        ("small.multilingual", "AP sw"): ["missing"],
    }


def test_junit_has_a_test_suite_for_every_suite():
    report = report_of(check(suite="b"), check(suite="a"), check("passed", suite="b"))
    root = ElementTree.fromstring(junit(report).encode())
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root] == [
        ("a", "1", "1"),
        ("b", "2", "1"),
    ]


@given(text=st.text() | st.just(HOSTILE))
def test_whatever_a_result_is_called_the_junit_file_is_xml(text):
    report = report_of(check(suite=text, reason=text), check("passed", reason=text))
    root = ElementTree.fromstring(junit(report).encode())
    assert root.get("tests") == "2"
    assert not list(root.iter("script"))


def unescaped(text: str) -> str:
    """What the runner makes of a command's message."""
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


@given(text=st.text() | st.just(HOSTILE))
def test_an_annotation_is_one_command_whatever_it_says(text):
    (line,) = workflow_commands(report_of(check(suite=text, reason=text)))
    assert not set(line) & {"\n", "\r"}
    match = re.fullmatch(r"::error title=([^:,]*)::(.*)", line, re.DOTALL)
    assert match is not None
    assert unescaped(match[2]) == text


def test_failures_are_errors_and_doubts_are_warnings(mixed):
    lines = list(workflow_commands(report_of(*mixed.checks, check("unproven"))))
    assert [line.split(" ")[0] for line in lines] == ["::error", "::error", "::error", "::warning"]


def test_more_annotations_than_github_shows_are_counted():
    lines = list(workflow_commands(report_of(*[check(suite=str(n)) for n in range(25)])))
    assert len(lines) == SHOWN
    assert "and 16 more checks" in lines[-1]


def test_the_summary_has_failures_first_and_every_check_in_a_row(mixed):
    text = summary(mixed)
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == len(mixed.checks)
    assert [row.split(" | ")[0] for row in rows] == ["| **loss**", "| **floor**", "| **missing**", "| passed"]
    assert text.startswith("### xlir-bench gate: failed")


@given(text=st.text() | st.just(HOSTILE))
def test_names_are_neither_markdown_nor_html_in_the_summary(text):
    table = summary(report_of(check(suite=text, reason=text)))
    assert not re.search(r"[<\[`]|javascript:|https?:", table.replace("### xlir-bench gate:", ""))
    (row,) = [line for line in table.splitlines() if line.startswith("| **loss**")]
    assert row.count("|") == 12


def forgotten(checks: int, suite="xquad-r") -> list[Check]:
    """What a gate says of a suite that the candidate was not measured on."""
    reason = f"the candidate has no result on {suite}: give `xlir-bench run` --suite {suite}"
    figures = [Figure(suite, "multilingual", "AP", f"l{number}") for number in range(checks)]
    return [Check(figure, "missing", reason, Budget(0.01), lacks="result") for figure in figures]


def test_a_forgotten_suite_is_one_line_with_its_count_behind_the_real_losses():
    report = report_of(*forgotten(37), check("unproven"), check("loss"), check("floor", suite="other"))
    assert [(found.verdict, found.about) for found in report.findings] == [
        ("loss", "small multilingual AP de"),
        ("floor", "other multilingual AP de"),
        ("missing", "xquad-r: 37 checks"),
        ("unproven", "small multilingual AP de"),
    ]
    assert [line.split("::")[1] for line in workflow_commands(report)] == [
        "error title=gate%3A small multilingual AP de",
        "error title=gate%3A other multilingual AP de",
        "error title=gate%3A xquad-r%3A 37 checks",
        "warning title=gate%3A small multilingual AP de",
    ]
    rows = [line.split(" | ") for line in summary(report).splitlines() if line.startswith("| ")][2:]
    assert [row[0].strip("|* ") for row in rows] == ["loss", "floor", "missing", "not proven"]
    assert rows[2][1:4] == ["xquad&#45;r".replace("&#45;", "-"), "", "37 checks"]


def test_what_is_missing_in_other_ways_has_other_lines():
    checks = [*forgotten(3), *[replace(one, lacks="row", reason=f"no row {n}") for n, one in enumerate(forgotten(4))]]
    found = report_of(*checks, *forgotten(2, "mlqa-r")).findings
    assert [(one.about, one.reason.split(":")[0]) for one in found] == [
        ("xquad-r: 3 checks", "the candidate has no result on xquad-r"),
        ("xquad-r: 4 checks", "no row 0; and 3 more of this kind"),
        ("mlqa-r: 2 checks", "the candidate has no result on mlqa-r"),
    ]


@pytest.mark.parametrize("failed", [0, 5, 70])
def test_the_summary_has_at_most_sixty_lines(failed):
    checks = [check(suite=f"failed{n}") for n in range(failed)]
    checks += [check("passed", suite=f"passed{n}") for n in range(100)]
    assert len(summary(report_of(*checks)).splitlines()) <= 60


def test_a_summary_of_thousands_of_checks_is_cut_with_a_word():
    text = summary(report_of(*[check(suite=str(n)) for n in range(ROWS + 300)]))
    assert "and 300 more checks" in text
    assert len(text.encode()) < 2**20
