"""What `make check` does with tests that failed: a few of them are run once more, alone, when all lanes are over.

Called as `python -m tests.helpers.once_more FOLDER LANE ...`. The folder has for each lane its pytest cache and, in
`LANE.code`, its exit code.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

MOST = 3
"""More failed tests than these are a fault of the change, not of a busy machine."""


def main(folder: Path, lanes: Sequence[str]) -> int:
    """Return the exit code of the check: 0 where nothing failed, or only a few tests that pass alone."""
    failed: list[str] = []
    for lane in lanes:
        code, found = exit_code(folder / f"{lane}.code"), failed_tests(folder / lane)
        if code == pytest.ExitCode.OK:
            continue
        if code != pytest.ExitCode.TESTS_FAILED or not found:
            tell(f"once more: not tried, since the lane {lane} ended with exit code {code} (137: killed by SIGKILL)")
            return 1
        failed += found
    if not failed:
        return 0
    if len(failed) > MOST:
        tell(f"once more: not tried, since {len(failed)} tests failed; at most {MOST} are run again")
        return 1
    if subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *failed], check=False).returncode:
        return 1
    for test in failed:
        tell(f"UNSTEADY: {test} failed in its lane and passed alone. Find out why, and fix it.")
    return 0


def exit_code(file: Path) -> int | None:
    """The exit code of a lane; None where it ended without one."""
    text = file.read_text(encoding="ascii").strip() if file.exists() else ""
    return int(text) if text else None


def failed_tests(cache: Path) -> list[str]:
    """Node ids of the tests that failed in the run that wrote this cache folder; empty where it wrote none."""
    found = cache / "v" / "cache" / "lastfailed"
    return sorted(json.loads(found.read_text(encoding="utf-8"))) if found.exists() else []


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
