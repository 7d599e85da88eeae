"""A run of a transformer that is killed at any instant ends, when it is begun again, in the same files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cache_writers import ENVIRONMENT

SCRIPT = Path(__file__).with_name("killed_runs.py")


def after(kills, languages, folder):
    finished = subprocess.run(
        [sys.executable, SCRIPT, folder, str(kills), *languages],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.mark.skipif(os.name == "nt", reason="has no kill -9")
@pytest.mark.parametrize(
    ("kills", "languages"),
    [(2, ["de", "sw"]), pytest.param(25, ["de", "sw", "zh"], marks=pytest.mark.slow)],
)
def test_a_run_that_was_killed_ends_in_the_files_of_one_that_was_not(kills, languages, tmp_path):
    found = after(kills, languages, tmp_path)
    assert len(found["kills"]) >= kills - kills // 5  # one drawn at the very end may come too late
    rows = len(languages) * (len(languages) + 1)
    assert found["files"] == 2 * rows + 4  # a run and its judgements for each row, an index; ranks, leaders, result
    assert found["differences"] == []
    assert found["left_over"] == []
    assert max(found["encoded_again"]) <= found["texts"]
