"""The gateway's own programs, each in its own process: JSON on stdin, JSON on stdout (adapter)."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from typing import Any, Final

from moireloop_broker.processes.exits import last_words
from moireloop_broker.processes.trial import Trial, TrialOverdue, try_out

LEAST_BYTES: Final = 64 * 1024
"""Room for temporary files below which a program can say nothing."""


class NoAnswer(RuntimeError):
    """A program has given no answer; the text says why."""


def answer_of(program: str, name: str, stdin: Any, limit_s: float) -> bytes:
    """What a module that is run as a program says, as JSON. Blocks.

    Args:
        name: of the work, for its log and for messages.
        stdin: what it finds on stdin, as JSON.
        limit_s: seconds that it may take.

    Raises:
        NoAnswer: it failed, took too long, or could not be started.
    """
    try:
        trial = try_out([sys.executable, "-m", program], name, start_s=limit_s, stdin=json.dumps(stdin).encode())
    except TrialOverdue as error:
        raise NoAnswer(str(error)) from error
    except OSError as error:
        raise NoAnswer(f"it cannot be started: {error}{_room()}") from error
    if trial.code != 0 or not _is_json(trial):
        raise NoAnswer(f"it failed: {last_words(trial.words) or 'no output'}{_room()}")
    return trial.said


def _is_json(trial: Trial) -> bool:
    try:
        json.loads(trial.said)
    except ValueError:
        return False
    return True


def _room() -> str:
    """Words on a full disk; none where there is room."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    return f"; {folder} is full, and temporary files need room there" if free < LEAST_BYTES else ""
