"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


@cache
def available_cores() -> int:
    """Cores that this process may run on: the affinity mask, and the quota of its control group if that is smaller.

    `os.cpu_count()` counts the cores of the machine, which a container, a batch system or `taskset` may give away only
    in part. More threads than cores slow each other down.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS and Windows have no such call
        allowed = os.cpu_count() or 1
    quota = cgroup_quota(_CGROUP)
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def cgroup_quota(root: Path) -> float | None:
    """Cores that the control group at `root` may keep busy, e.g. 1.5; None where there is no limit.

    Both versions of Linux's control groups are read: `cpu.max` of version 2, `cpu/cpu.cfs_quota_us` of version 1.
    """
    try:
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = (
                (root / "cpu" / name).read_text(encoding="ascii").strip()
                for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        except (OSError, ValueError):
            return None
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max" is no limit
        return None
    return cores if cores > 0 else None
