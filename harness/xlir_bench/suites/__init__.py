"""Suites: what is measured, declared in YAML, read into collections."""

from xlir_bench.suites.catalog import (
    DEFAULT_SUITE,
    expand,
    find,
    is_official,
    labels,
    look_up,
    mean_over,
    refuse_namesakes,
    shipped,
    shipped_groups,
)
from xlir_bench.suites.check import LanguageCheck, check, expected_fingerprint
from xlir_bench.suites.fetch import Fetched, fetch, forget, forget_archives, obtain, pins
from xlir_bench.suites.findings import Finding, findings, measurable
from xlir_bench.suites.load import chosen_languages, load
from xlir_bench.suites.own import between, with_sides
from xlir_bench.suites.schema import Group, Suite, read_suite

__all__ = [
    "DEFAULT_SUITE",
    "Fetched",
    "Finding",
    "Group",
    "LanguageCheck",
    "Suite",
    "between",
    "check",
    "chosen_languages",
    "expand",
    "expected_fingerprint",
    "fetch",
    "find",
    "findings",
    "forget",
    "forget_archives",
    "is_official",
    "labels",
    "load",
    "look_up",
    "mean_over",
    "measurable",
    "obtain",
    "pins",
    "read_suite",
    "refuse_namesakes",
    "shipped",
    "shipped_groups",
    "with_sides",
]
