"""One result as a piece of HTML for a notebook: its means and its language map, as they look on the site."""

from __future__ import annotations

from datetime import UTC, datetime

from xlir_bench.leaderboard.encoder_view import suite_view
from xlir_bench.leaderboard.entrant import measured
from xlir_bench.leaderboard.site import Drawing, Site
from xlir_bench.results import Result


def fragment(result: Result) -> str:
    """A `div` with a style sheet that reaches nothing outside of it. Every text of the result is escaped."""
    site = Site([measured(result)], datetime.now(UTC))
    drawn, scale = site.maps[0]
    view = suite_view(site.sections[0], 0, site.tests[0], (drawn.get(0), scale), None)
    return Drawing(site).piece("fragment", {"one": view})
