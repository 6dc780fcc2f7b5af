"""Attempts that failed, a line each (pure)."""

from __future__ import annotations

from moireloop.results.labels import duration
from moireloop_broker.contract.events import RunFailed


def failure_line(failed: RunFailed, now_s: float) -> str:
    """Which attempt of which candidate failed, when, and why."""
    ago = duration(max(0.0, now_s - failed.failed_s))
    return f"{failed.candidate_id} attempt {failed.attempt} failed {ago} ago: {' '.join(failed.reason.split())}"
