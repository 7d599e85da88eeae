"""The leaderboard: results in, a site of static pages out, which is published as it is."""

from xlir_bench.leaderboard.entrant import Entrant, Gathered
from xlir_bench.leaderboard.fragment import fragment
from xlir_bench.leaderboard.gather import gather
from xlir_bench.leaderboard.site import build, rebuild

__all__ = ["Entrant", "Gathered", "build", "fragment", "gather", "rebuild"]
