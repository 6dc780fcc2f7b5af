"""One session in the foreground: conductor, live progress, and what Ctrl-C means (main)."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from rich.console import Console

from moireloop.campaign_file.campaign import Campaign
from moireloop.exit_codes import EXIT_FAILED, EXIT_GO_ON, EXIT_KILLED
from moireloop.session.conductor import Conductor
from moireloop.session.ending import Ending
from moireloop.session.history import History
from moireloop.session.startup import StartInterrupted
from moireloop.terminal.progress_view import ProgressView
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.processes.exits import GoOnLater
from moireloop_broker.state.series import Series
from moireloop_worker.launchers.registry import hands_back
from moireloop_worker.pool.notices import hear_notices

TICK_S: Final = 0.2

SERVICES_GONE_S: Final = 3.0
"""After an interrupt: services elsewhere were asked to end as well, and the broker does not come back."""


@dataclass(frozen=True)
class Session:
    """How a session ended, and the campaign's history and the series of its runs up to then; none if it was killed."""

    history: History
    all_series: list[Series]
    reason: str
    exit_code: int


class Interrupts:
    """Counts SIGINT and SIGTERM: the first asks to drain, the second to end at once.

    While the campaign runs, the conductor looks at the count. When it has ended, and its end is written down or tables
    are made, an interrupt ends that by KeyboardInterrupt: see `raise_from`.

    With `hand_back` SIGTERM, SIGUSR1 and SIGALRM are a `notice` instead, to give everything back now. Without it the
    latter two are ignored.
    """

    def __init__(self, *, hand_back: bool) -> None:
        self.count = 0
        self.raised = False
        self._raise_from = math.inf
        self.notice: str | None = None
        self._hand_back = hand_back
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)
        hear_notices(self._noticed, hand_back=hand_back)

    @property
    def any(self) -> bool:
        """Whether the end was asked for in whatever way."""
        return self.count > 0 or self.notice is not None

    def raise_from(self, count: float) -> None:
        """Raise KeyboardInterrupt at each interrupt from this one on, in the main thread."""
        self._raise_from = count

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM and self._hand_back:
            self._noticed("SIGTERM")
            return
        self.count += 1
        if self.count >= self._raise_from:
            self.raised = True
            raise KeyboardInterrupt

    def _noticed(self, signal_name: str) -> None:
        self.notice = self.notice or f"{signal_name} says to give everything back"


@contextmanager
def conduct(
    campaign: Campaign,
    console: Console,
    *,
    resumed: bool,
    elsewhere: float | None = None,
    until_s: float | None = None,
) -> Iterator[Session]:
    """Run the campaign until it is complete, drained or killed, or has given back before `until_s`.

    It stands around what is made of the results: the broker stays meanwhile, for subscribers who miss something.

    Args:
        elsewhere: seconds to wait for the broker where services start by themselves; None where they start here.

    Raises:
        ServiceFailed: a service does not start or dies again and again; everything else was ended.
        StartInterrupted: asked to end before the services were ready; everything was ended.
        GoOnLater: the same, by who wants the allocation back.
    """
    on_term = campaign.workers.on_term
    interrupts = Interrupts(hand_back=hands_back(on_term) or (elsewhere is not None and on_term == "auto"))
    folder = CampaignFolder(campaign.folder)
    conductor = Conductor(campaign, folder, resumed=resumed, elsewhere=elsewhere, say=console.print, until_s=until_s)
    try:
        conductor.start(lambda: interrupts.any)
        session = _ended(conductor, interrupts, _follow(conductor, interrupts, console))
        interrupts.raise_from(1 if session.exit_code != EXIT_KILLED else math.inf)
        if interrupts.count and session.exit_code not in (EXIT_KILLED, EXIT_GO_ON):
            console.print("all runs have ended: writing tables and figures; Ctrl-C again skips them", style="yellow")
        yield session
    except StartInterrupted as error:
        if interrupts.notice is not None:
            raise GoOnLater(f"{interrupts.notice}, before the campaign began; `moireloop resume` starts it") from error
        raise
    finally:
        interrupts.raise_from(math.inf)
        conductor.close(at_once=interrupts.raised)


def _ended(conductor: Conductor, interrupts: Interrupts, ending: Ending | None) -> Session:
    """The session as it ends; a second interrupt meanwhile ends it at once, whatever is being read or waited for."""
    try:
        interrupts.raise_from(2)
        return _session(conductor, ending if interrupts.count < 2 else None)
    except KeyboardInterrupt:
        interrupts.raise_from(math.inf)
        return _session(conductor, None)


def _session(conductor: Conductor, ending: Ending | None) -> Session:
    if ending is None:
        conductor.close(at_once=True)
        return Session(conductor.history, [], "killed; `moireloop resume` continues from here", EXIT_KILLED)
    if ending.goes_on_later:
        conductor.finish(ending)
        return Session(conductor.history, [], ending.reason, EXIT_GO_ON)
    all_series = conductor.all_series()
    conductor.finish(ending)
    return Session(conductor.history, all_series, ending.reason, EXIT_FAILED if ending.is_failure else 0)


def _follow(conductor: Conductor, interrupts: Interrupts, console: Console) -> Ending | None:
    asked, heard_s = 0, time.monotonic()
    with ProgressView(console) as view:
        while True:
            if interrupts.notice is not None:
                conductor.give_back(interrupts.notice)
            progress = conductor.step()
            if progress is not None:
                heard_s = time.monotonic()
                view.show(progress, heard_s)
            elif asked and conductor.is_elsewhere and time.monotonic() - heard_s > SERVICES_GONE_S:
                console.print("the broker has ended too; `moireloop resume` continues interrupted runs", style="yellow")
                return None
            if (ending := conductor.ending()) is not None:
                return ending
            if interrupts.count > 1:
                return None
            if interrupts.count > asked:
                asked = interrupts.count
                conductor.drain("interrupted")
                console.print("draining: running candidates finish; Ctrl-C again kills", style="yellow")
            time.sleep(TICK_S)
