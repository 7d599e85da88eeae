"""Cores that a process may use: affinity and the quota of its control group."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from xlir_bench.cores import available_cores, cgroup_quota


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_bound_to_one_core_counts_one():
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from xlir_bench.cores import available_cores\n"
        "print(available_cores())"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "1"


def test_there_are_no_more_than_the_machine_has():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("content", "cores"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("x\n", None)])
def test_the_quota_of_version_2(tmp_path, content, cores):
    (tmp_path / "cpu.max").write_text(content)
    assert cgroup_quota(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("200000", 2.0), ("-1", None)])
def test_the_quota_of_version_1(tmp_path, quota, cores):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cgroup_quota(tmp_path) == cores


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert cgroup_quota(tmp_path) is None
