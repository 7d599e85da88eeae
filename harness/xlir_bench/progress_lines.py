"""Progress where nobody watches: lines in the file that standard error goes to."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from xlir_bench.errors import counted, singular

EVERY = 30.0
"""Seconds between two lines of one stage."""

WORTH_A_LINE = 5.0
"""Seconds that a stage must take for its end to be told."""

_AT_ONCE = 1.0
"""Seconds within which steps are reported that an earlier run did; they say nothing of the rate."""


class LoggedStage:
    """One stretch of work; see `progress.Stage`. Lines are told when work is reported: there is no thread.

    Args:
        name: of the stage.
        total: how many units it has.
        unit: of what, in the plural.
        write: takes a line.
        clock: seconds.
    """

    def __init__(
        self, name: str, total: int, unit: str, write: Callable[[str], None], clock: Callable[[], float] = monotonic
    ) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._write, self._clock = write, clock
        self._done, self._note, self._over = 0, "", False
        self._begun = self._last = clock()
        self._done_before = self._done_at_last = 0

    def advance(self, steps: int = 1) -> None:
        """`steps` more units are done."""
        self._done += steps
        now = self._clock()
        if now - self._begun < _AT_ONCE:
            self._done_before = self._done_at_last = self._done
        if self._done < self._total:
            self._tell_where_due(now)
        elif not self._over:
            self._over = True
            if now - self._begun > WORTH_A_LINE:
                self._tell_end(now - self._begun)

    def note(self, text: str) -> None:
        """What is to be read at the end of a line from now on. Said without delay if a line is due."""
        self._note = text
        if not self._over:
            self._tell_where_due(self._clock())

    def _tell_where_due(self, now: float) -> None:
        elapsed = now - self._last
        if elapsed < EVERY:
            return
        rate = (self._done - self._done_at_last) / elapsed
        share = f"{self._done:,} of {self._total:,} {self._unit} ({100 * self._done // self._total} %)"
        left = f"{lasting((self._total - self._done) / rate)} left" if rate else ""
        self._say(share if self._total > 1 else "not finished yet", speed(rate, self._unit), left)
        self._last, self._done_at_last = now, self._done

    def _tell_end(self, elapsed: float) -> None:
        if self._total == 1:
            self._say(f"done in {lasting(elapsed)}")
            return
        rate = (self._done - self._done_before) / elapsed
        self._say(f"{counted(self._done, self._unit)} in {lasting(elapsed)}", speed(rate, self._unit))

    def _say(self, *parts: str) -> None:
        self._write(f"{self._name}: {', '.join(part for part in (*parts, self._note) if part)}")


def speed(rate: float | None, unit: str) -> str:
    """How fast work goes, e.g. "410 texts/s", "2.5 texts/s", "13 s per step"; empty where nothing was done.

    Args:
        rate: units per second.
        unit: in the plural.
    """
    if not rate:
        return ""
    if rate < 1:
        return f"{f'{1 / rate:.2g} s' if rate > 0.1 else lasting(1 / rate)} per {singular(unit)}"
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"


def lasting(seconds: float) -> str:
    """A time as it is said, e.g. "52 s", "3 min 52 s", "1 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60:02} min"
