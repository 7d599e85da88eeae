"""Work in a fresh process, with its peak memory: where each side of a comparison runs."""

from __future__ import annotations

import multiprocessing
import re
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")


def alone(work: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """What work finds in a fresh process, and that process's peak memory as `peak_mib`.

    Args:
        work: a function of a module's top level.
        arguments: of it, to be pickled.

    Raises:
        BrokenProcessPool: the process was killed, as one that takes too much memory is.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_with_peak, work, arguments).result()


def _with_peak(work: Callable[..., dict[str, float]], arguments: tuple[Any, ...]) -> dict[str, float]:
    return {**work(*arguments), "peak_mib": peak_mib()}


def peak_mib() -> float:
    """The most memory that this process has held so far, in MiB."""
    if _STATUS.is_file():
        # Linux's getrusage counts on from the peak of the process that started this one.
        found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
