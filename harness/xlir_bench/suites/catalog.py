"""The suites that are shipped, and those that a person declares in a file."""

from __future__ import annotations

from pathlib import Path

from xlir_bench.errors import unknown_name
from xlir_bench.resources import folder
from xlir_bench.suites.schema import Suite, read_suite

DEFAULT_SUITE = "xlir-mini"


def shipped() -> list[str]:
    """Names of the suites that travel with the package, sorted."""
    return sorted(path.stem for path in folder("suites").glob("*.yaml"))


def find(name: str) -> Suite:
    """The suite of a shipped name, or the one that a YAML file declares.

    Raises:
        InputError: neither; or the file is no suite.
        MissingResourceError: `name` ends in .yaml and there is no such file.
    """
    if name in shipped():
        return read_suite(folder("suites") / f"{name}.yaml")
    if Path(name).suffix in {".yaml", ".yml"}:
        return read_suite(Path(name))
    raise unknown_name(
        "suite", name, shipped(), "see `xlir-bench suites list`, or give the path of a suite's YAML file"
    )
