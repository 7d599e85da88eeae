"""The report as JUnit XML, which continuous integration reads: a suite is a test suite, a check is a test case."""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree

from xlir_bench.gating.verdict import Check, GateReport

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: GateReport) -> str:
    """The document. Checks that chance may explain pass, with the doubt as their output."""
    root = ElementTree.Element("testsuites", name="xlir-bench gate")
    _count(root, report.checks)
    checks = sorted(report.checks, key=lambda check: check.figure.suite)
    for suite, group in groupby(checks, key=lambda check: check.figure.suite):
        inside = tuple(group)
        element = ElementTree.SubElement(root, "testsuite", name=_clean(suite))
        _count(element, inside)
        for check in inside:
            _case(element, check)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(parent: ElementTree.Element, check: Check) -> None:
    figure = check.figure
    case = ElementTree.SubElement(
        parent,
        "testcase",
        classname=_clean(f"{figure.suite}.{figure.setting}"),
        name=_clean(f"{figure.measure} {figure.languages}".strip()),
        time="0",
    )
    if check.failed:
        message = _clean(check.reason)
        failure = ElementTree.SubElement(case, "failure", type=check.verdict, message=message)
        failure.text = _clean(f"{figure}: {check.reason}")
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(check.reason)


def _count(element: ElementTree.Element, checks: tuple[Check, ...]) -> None:
    failures = sum(check.failed for check in checks)
    for name, value in (("tests", len(checks)), ("failures", failures), ("errors", 0), ("skipped", 0), ("time", 0)):
        element.set(name, str(value))


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot hold, escaped or not (W3C, section 2.2)."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
