"""Calls one analyzer once with the small bilayer: `python -m moireloop_analyzer.plugins.trial NAME` (main).

A line on stdout says that it begins; then what it came to stands there as JSON: its reason, or null. What the analyzer
writes goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys

from moireloop_analyzer.measurement import estimate_of, snapshot_of
from moireloop_analyzer.plugins.process import looked, work_of
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.warm_up import small_frame


def main(arguments: list[str]) -> int:
    """Try the analyzer; the exit code is 0 whatever it came to, unless it brings the process down."""
    (name,) = arguments
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        frame = small_frame()
        twist = estimate_of(frame, AnalyzerSettings())
        work = work_of(name)
        answer.write("begins\n")
        answer.flush()
        outcome = looked(work, snapshot_of(frame, twist))
        answer.write(f"{json.dumps(outcome.reason)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
