"""Suites: what is measured, declared in YAML, read into collections."""

from xlir_bench.suites.catalog import DEFAULT_SUITE, find, shipped
from xlir_bench.suites.load import LanguageCheck, check, load
from xlir_bench.suites.schema import Suite, read_suite

__all__ = ["DEFAULT_SUITE", "LanguageCheck", "Suite", "check", "find", "load", "read_suite", "shipped"]
