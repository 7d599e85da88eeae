"""Charts where they cannot be drawn, and results that cannot be read."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

import xlir_bench as xb
from xlir_bench.cli.main import cli


@pytest.mark.skipif(sys.platform != "linux", reason="needs the extra limits of Linux")
def test_where_address_space_is_limited_no_chart_is_drawn_and_the_process_lives():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30));"
        "from xlir_bench.leaderboard.charts import Point, scatter;"
        "print(scatter([Point(1, 2, 'a', 'a.html'), Point(2, 1, 'b', 'b.html')], 'x', 'y'))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "None\n")
    assert "raise `ulimit -v`" in ran.stderr


def test_a_result_that_cannot_be_read_is_named_and_stops_nothing(tmp_path):
    xb.evaluate("random", "xlir-mini", languages=["de", "th"]).save(tmp_path / "results")
    damaged = tmp_path / "results" / "other" / "xlir-mini.json"
    damaged.parent.mkdir()
    damaged.write_text('{"schema_version": 99, "suite": {}, "model": {}, "scores": []}')
    site = xb.report(tmp_path / "results", tmp_path / "site")
    assert site.index.is_file()
    assert len(site.refused) == 1
    assert "schema 99" in site.refused[0]
    ran = CliRunner().invoke(cli, ["report", str(tmp_path / "results"), "--output", str(tmp_path / "again")])
    assert (tmp_path / "again" / "index.html").is_file()
    assert "schema 99" in ran.output
    assert ran.exit_code != 0
