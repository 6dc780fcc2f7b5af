"""Calls one analyzer once with the small bilayer: `python -m moireloop_analyzer.plugins.trial NAME SECONDS` (main).

What it came to is printed as JSON: its reason, or null. SIGALRM ends a function that takes longer than SECONDS.
"""

from __future__ import annotations

import json
import signal
import sys

from moireloop_analyzer.measurement import estimate_of, snapshot_of
from moireloop_analyzer.plugins.process import work_of
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.warm_up import small_frame


def main(arguments: list[str]) -> int:
    """Try the analyzer; the exit code is 0 whatever it came to, unless it brings the process down."""
    name, limit_s = arguments
    frame = small_frame()
    twist = estimate_of(frame, AnalyzerSettings())
    signal.setitimer(signal.ITIMER_REAL, float(limit_s))
    outcome = work_of(name)(snapshot_of(frame, twist))
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.stdout.write(f"\n{json.dumps(outcome.reason)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
