"""The data folders that travel with the package: suites, submissions, and the leaderboard's templates."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal


def folder(name: Literal["suites", "submissions", "reports"]) -> Path:
    """The folder on disk, in a checkout (editable install) as in site-packages."""
    return Path(str(resources.files(f"xlir_bench._{name}")))
