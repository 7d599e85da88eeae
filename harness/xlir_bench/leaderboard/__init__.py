"""The leaderboard: results in, one static page out, which is published as it is."""

from xlir_bench.leaderboard.page import build

__all__ = ["build"]
