"""The leaderboard as a folder of static files: one page, no script, nothing fetched."""

from benchmark.reports.leaderboard.page import write_leaderboard

__all__ = ["write_leaderboard"]
