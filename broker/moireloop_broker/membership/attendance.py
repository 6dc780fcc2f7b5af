"""Waiting for a session of a campaign, with words, and being asked to end meanwhile (adapter)."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, TypeVar

from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.membership.session import NoSession, SessionEnded, SessionStarting
from moireloop_broker.processes.exits import end_soon

LOOK_EVERY_S: Final = 0.5

STARTING_S: Final = 330.0
"""How long a started session may take until others can join it: it waits for its first analyzer."""

Say = Callable[[str], None]

T = TypeVar("T")


class Asked:
    """Becomes true at SIGTERM and SIGINT: a joined process then gives back what it holds, and leaves."""

    def __init__(self) -> None:
        self.stopped = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopped = True
        end_soon()

    def __bool__(self) -> bool:
        return self.stopped


def await_session(
    find: Callable[[Path], T],
    connection_file: Path,
    patience_s: float,
    asked: Asked,
    say: Say,
    *,
    ended_s: float | None = None,
) -> T | None:
    """What `find` returns of the session of a connection file; None where the campaign has ended, or if asked to end.

    Args:
        find: raises NoConnectionFile and NoSession where there is nothing yet.
        patience_s: seconds to wait for a session; one that is still starting has STARTING_S at least.
        say: called with a line for each new thing that is waited for.
        ended_s: seconds to wait where the campaign has ended; None for `patience_s`.

    Raises:
        NoConnectionFile, NoSession: there is no session after that time.
    """
    began_s, said = time.monotonic(), ""
    while not asked:
        try:
            return find(connection_file)
        except (NoConnectionFile, NoSession) as error:
            waited_s = time.monotonic() - began_s
            limit_s = max(patience_s, STARTING_S) if isinstance(error, SessionStarting) else patience_s
            if isinstance(error, SessionEnded) and ended_s is not None:
                limit_s = ended_s
            if waited_s >= limit_s and isinstance(error, SessionEnded):
                say(f"{error}; there is nothing to join")
                return None
            if waited_s >= limit_s:
                raise
            if str(error) != said:
                said = str(error)
                say(f"waiting, at most {limit_s - waited_s:.0f} s: {said}")
            time.sleep(LOOK_EVERY_S)
    return None
