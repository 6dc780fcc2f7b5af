"""Runs one campaign: starts the services, watches them, knows when it is over, and keeps its results (main)."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection
from typing import Literal

import redis

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.checks import with_counted_workers
from moireloop.results.summary import tally_of
from moireloop.services.changes import ServiceChanges, full_disk_hint
from moireloop.services.elsewhere import ElsewhereSet, wait_for_joined
from moireloop.services.service_set import Crash, ServiceSet, ServiceSpec
from moireloop.services.start_condition import ANALYZER_PREFIX, may_begin
from moireloop.session.ending import (
    Ending,
    ending_of,
    failure_of,
    given_back,
    is_complete,
    out_of_time,
    without_success,
)
from moireloop.session.followed_log import FollowedLog
from moireloop.session.history import History
from moireloop.session.lock import conductor_name
from moireloop.session.opening import close_session, hold_sockets, note_session, open_session, say_ready
from moireloop.session.progress import Progress, progress_of
from moireloop.session.records import refuse_lost_log
from moireloop.session.startup import (
    READY_S,
    ServiceFailed,
    broker_spec,
    claim_services,
    clear_earlier_session,
    service_specs,
    settings_sections,
    wait_for_broker,
)
from moireloop_broker.bulk import many_objects
from moireloop_broker.connection import Connection
from moireloop_broker.contract.events import BUDGET_OUTCOMES
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.identity import Identity, read_identity, write_identity
from moireloop_broker.membership.heartbeats import BEAT_S, CONDUCTOR, say_alive
from moireloop_broker.processes.clock import boot_s
from moireloop_broker.processes.trial import ONE_THREAD
from moireloop_broker.service.state_watch import StateWatch
from moireloop_broker.state.campaign_state import RUNNING, CampaignState, frame_endpoints
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.redis_client import open_impatient
from moireloop_broker.state.series import Series
from moireloop_broker.state.settings_store import write_settings_file
from moireloop_broker.state.work_queue.queues import create_queues
from moireloop_worker.launchers.walltime import Walltime

log = logging.getLogger(__name__)

PATIENCE_S = 15.0
AT_ONCE_S = 0.5
BROKER_AT_ONCE_S = 2.0
LEAVE_S = 10.0
SHORT_LEAVE_S = 1.0


class Conductor:
    """One session of one campaign. The caller holds the folder's lock.

    Args:
        resumed: whether it continues an earlier session.
        without: services not to start, such as "optimizer" where candidates come only from outside.
        elsewhere: seconds to wait for the broker where services start by themselves; None where they start here.
        say: called with a line where something is waited for.
        until_s: when everything must have been given back, in seconds since the epoch; None without an end.
    """

    def __init__(
        self,
        campaign: Campaign,
        folder: CampaignFolder,
        *,
        resumed: bool,
        without: Collection[str] = (),
        elsewhere: float | None = None,
        say: Callable[[str], None] = lambda _: None,
        until_s: float | None = None,
    ) -> None:
        self.folder = folder
        self.started_s = time.time()
        self._began_s = boot_s()
        self._resumed = resumed
        self._without = frozenset(without)
        self._services = (ServiceSet if elsewhere is None else ElsewhereSet)(folder.services_lock)
        self._changes = ServiceChanges(self._services, folder)
        self._log = FollowedLog(with_counted_workers(campaign), folder)
        self._broker_s = READY_S if elsewhere is None else elsewhere
        self._say = say
        self._beat_s = float("-inf")
        self._until_s = until_s
        self._walltime = Walltime(campaign.workers.reserve_s, self.started_s, until_s)
        self._given_back: str | None = None
        self._pool: ServiceSpec | None = None
        self._waited_s = 0.0
        self._drain_reason: str | None = None
        self._progress: Progress | None = None
        self._counters_before: dict[str, int] | None = None
        self._failure: str | None = None
        self._connection: Connection | None = None
        self._client: redis.Redis | None = None
        self._sockets: int | None = None
        self._watch: StateWatch | None = None

    @property
    def campaign(self) -> Campaign:
        """The campaign as requests have changed it, by what was read of its log."""
        return self._log.campaign

    @property
    def history(self) -> History:
        """The history by what was read of the campaign's log."""
        return self._log.history

    def start(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Start all services and let the campaign begin or continue; the pool starts in a later step.

        Args:
            interrupted: whether the user asked for the end meanwhile.

        Raises:
            ServiceFailed: the broker or its Redis does not come up, or services of a killed session do not end.
            StartInterrupted: `interrupted` became true before the broker was ready.
        """
        for name in ONE_THREAD:
            os.environ.setdefault(name, "1")
        claim_services(self._services, self.folder.services_lock, interrupted)
        connection = open_session(self.campaign, self.folder, elsewhere=self.is_elsewhere)
        session = {"began_boot_s": self._began_s, "mark": self._identity().session}
        sections = {**settings_sections(self.campaign), "session": session}
        write_settings_file(self.folder.root, sections)
        self._connection = connection
        self._sockets = hold_sockets(connection)
        broker = broker_spec(self.folder)
        self._changes.start(broker)
        if isinstance(self._services, ElsewhereSet):
            self._say(f"waiting for: broker, at most {self._broker_s:.0f} s (`moireloop service broker`)")
        wait_for_broker(self._services, connection, sections, broker.log_file, interrupted, self._broker_s)
        identity = self._identity()
        self._client = open_impatient(connection.redis_url, name=conductor_name(self.campaign.name, identity.session))
        if self._resumed:
            refuse_lost_log(self._client, connection.keys, "the campaign's Redis server", identity)
        note_session(self._client, connection.keys, identity, self.folder)
        if self._resumed:
            create_queues(self._client, connection.keys)
            with many_objects():
                self._read_log()
            self._log.request_changes_of_file(self._client, connection)
            counted = sum(self.history.outcomes[outcome] for outcome in BUDGET_OUTCOMES)
            clear_earlier_session(self._client, connection.keys, self.campaign, counted)
        self._log.store_file_sections(self._client, connection)
        self._state().change("resumed" if self._resumed else "started")
        write_identity(self.folder.root, identity.model_copy(update={"has_begun": True}))
        say_ready(self._client, connection.keys, identity)
        if isinstance(self._services, ElsewhereSet):
            self._services.follow(self._client, connection.keys)
        for spec in service_specs(self.campaign, self.folder, self._until_s):
            if spec.name == "pool":
                self._pool = spec
            elif spec.name not in self._without:
                self._changes.start(spec)

    def step(self) -> Progress | None:
        """Restart what died, let the workers begin, and look at the state; None while Redis does not respond.

        Raises:
            ServiceFailed: a service cannot do its work or has died again and again, or Redis has lost the state.
        """
        now_s = time.time()
        if (reason := self._walltime.reason(now_s)) is not None:
            self.give_back(reason)
        try:
            # First, whatever Redis does: the broker brings its Redis server down with it and must come again.
            for crash in self._services.watch():
                self._note_crash(crash)
            self._say_alive()
            self._changes.collect(self._state())
            self._read_log()
            self._changes.write_to_log(self._state())
            self._apply_drain()
            self._let_workers_begin()
            self._progress = self._look()
            self._refuse_fault(self._watch_state().fault(len(self.history.results), boot_s()))
        except redis.RedisError as error:
            log.info("redis does not respond now reason=%s", error)
            self._refuse_fault(self._with_disk(self._watch_state().refused(error, boot_s())))
            return None
        except ValueError as error:
            raise ServiceFailed(f"Redis holds what this campaign did not write: {error}") from error
        self._log.update_digest()
        self._drain_in_time(self._progress)
        self._drain_when_all_fails(self._progress)
        return self._progress

    def _watch_state(self) -> StateWatch:
        if self._watch is None:
            session = self._identity().session
            self._watch = StateWatch(self._redis(), self._opened().keys, self._opened().redis_url, session)
        return self._watch

    def _with_disk(self, fault: str | None) -> str | None:
        """What Redis said, and of a private server whether its disk is full."""
        if fault is None or not self._opened().private_redis:
            return fault
        return fault + full_disk_hint(self.folder.redis, shutil.disk_usage(self.folder.redis).free, fault)

    def _refuse_fault(self, text: str | None) -> None:
        if text is not None:
            raise ServiceFailed(text)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the services start by themselves."""
        return isinstance(self._services, ElsewhereSet)

    @property
    def has_begun(self) -> bool:
        """Whether all services were started, the pool too, which waits for the first analyzer."""
        return self._pool is None

    def ending(self) -> Ending | None:
        """Whether the campaign is over, and how."""
        budget = self.campaign.budget.results
        if self._given_back is not None and (self._progress is None or not is_complete(self._progress, budget)):
            return given_back(self._given_back, self._progress, budget)
        if self._progress is None:
            return None
        ending = ending_of(self._progress, budget, self.history.drained_for)
        if ending is not None and self._failure is not None:
            return Ending(False, self._failure, is_failure=True)
        return ending and without_success(ending, self.history)

    def all_series(self) -> list[Series]:
        """The series of all runs so far; none where Redis does not respond."""
        with contextlib.suppress(redis.RedisError):
            return list(Observations(self._redis(), self._opened().keys).all_series())
        return []

    def drain(self, reason: str) -> None:
        """Lease no more candidates, from the next step that reaches Redis; runs in progress finish."""
        self._drain_reason = self._drain_reason or reason

    def give_back(self, reason: str) -> None:
        """End the session now: the workers write restart files and give back what they hold, uncharged."""
        self._given_back = self._given_back or reason

    def finish(self, ending: Ending) -> None:
        """Log how the session ended and end all services but the broker, which announces the end until `close`.

        If time is short, only workers get some.
        """
        ended: Literal["completed", "stopped"] = "completed" if ending.is_complete else "stopped"
        names = self._services.names()
        if ending.goes_on_later:
            self._services.ask([n for n in names if n != "broker"])
            self._services.stop(["pool"], self._walltime.patience_s(time.time(), PATIENCE_S))
            self._services.stop([n for n in names if n not in ("broker", "pool")], AT_ONCE_S)
        self._services.stop([n for n in names if n in ("optimizer", "pool")], PATIENCE_S)
        self._services.stop([n for n in names if n.startswith(ANALYZER_PREFIX)], PATIENCE_S)
        with contextlib.suppress(redis.RedisError):
            self._read_log()
            self._state().change(ended, ending.reason)
            write_identity(self.folder.root, self._identity().model_copy(update={"ended": ended}))
            self._log.prepare_last_digest(lambda: self._state().status())
            patience_s = SHORT_LEAVE_S if ending.goes_on_later else LEAVE_S
            wait_for_joined(self._redis(), self._opened().keys, patience_s, services=self.is_elsewhere)

    def close(self, *, at_once: bool = False) -> None:
        """End every service that still runs, by force if need be; `at_once` leaves them half a second to end.

        A broker that waits for slow subscribers has little time as well where everything was given back.
        """
        self._services.stop(
            [n for n in self._services.names() if n != "broker"], AT_ONCE_S if at_once else PATIENCE_S / 3
        )
        is_short = at_once or self._given_back is not None
        self._services.stop(["broker"], BROKER_AT_ONCE_S if is_short else PATIENCE_S)
        if self._client is not None:
            self._client.close()
        if self._sockets is not None:
            os.close(self._sockets)
            self._sockets = None
        if self._connection is not None:
            self._log.write_last_digest(self._connection)
            close_session(self._connection)
        self._services.release()

    def _let_workers_begin(self) -> None:
        """Start the pool when an analyzer is there, or none for too long; the wall time counts from then."""
        if self._pool is None or self._drain_reason is not None or self._state().state == "draining":
            return
        self._waited_s = boot_s() - self._began_s
        analyzers = sum(name.startswith(ANALYZER_PREFIX) for name in self._services.names())
        announced = len(frame_endpoints(self._redis(), self._opened().keys))
        if not may_begin(analyzers, announced, self._waited_s):
            return
        if analyzers and not announced:
            log.warning("workers start without an analyzer waited_s=%.0f", self._waited_s)
        if self.is_elsewhere or "pool" in self._without or self.campaign.workers.number == 0:
            self._changes.note_stopped("pool", "only pools that join have workers")
        else:
            self._changes.start(self._pool)
        self._pool = None

    def _wall_time_s(self) -> float | None:
        budget_s = self.campaign.budget.wall_time_s
        return None if budget_s is None else budget_s + self._waited_s

    def _note_crash(self, crash: Crash) -> None:
        if crash.gave_back:
            self._changes.note_stopped(crash.service, "its allocation ends")
            self.give_back("the allocation of the workers ends")
        elif (failure := self._changes.note_crash(crash)) is not None:
            raise ServiceFailed(failure)

    def _say_alive(self) -> None:
        if boot_s() - self._beat_s >= BEAT_S:
            say_alive(self._redis(), self._opened().keys, CONDUCTOR)
            self._beat_s = boot_s()

    def _read_log(self) -> None:
        self._log.read(self._opened().event_log(self._redis()))

    def _apply_drain(self) -> None:
        state = self._state()
        present = state.state
        if present is None:
            raise ServiceFailed("the Redis server has lost the campaign: was it emptied, or started without its data?")
        if self._drain_reason is not None and present in RUNNING:
            state.change("draining", self._drain_reason)

    def _drain_in_time(self, progress: Progress) -> None:
        budget_s = self.campaign.budget.wall_time_s
        if progress.state != "draining" and budget_s is not None:
            run_s = tally_of(self.history.results).median_run_s
            reason = out_of_time(progress.elapsed_s, budget_s, self._waited_s, run_s)
            if reason is not None:
                self.drain(reason)

    def _drain_when_all_fails(self, progress: Progress) -> None:
        self._failure = self._failure or failure_of(self.history, self.campaign.workers.number)
        if self._failure is not None and progress.state != "draining":
            self.drain(self._failure)

    def _look(self) -> Progress:
        status = self._state().status(with_server=True)
        if self._counters_before is None:
            self._counters_before = status.counters
        return progress_of(
            status,
            self.history.results,
            self.campaign.targets,
            budget_results=self.campaign.budget.results,
            started_s=self.started_s,
            now_s=time.time(),
            elapsed_s=boot_s() - self._began_s,
            wall_time_s=self._wall_time_s(),
            resumed_at_s=self.history.resumed_at_s,
            last_crash=self.history.last_crash,
            last_failures=self.history.last_failures,
            counters_before=self._counters_before,
            outside_counts=self.campaign.budget.outside_counts,
            summary=self._log.summary(),
            seen=self.history.outcomes,
            uncounted=self.history.counted_outside,
        )

    def _identity(self) -> Identity:
        identity = read_identity(self.folder.root)
        if identity is None:
            raise ServiceFailed(f"the identity that was just written is gone from {self.folder.identity_file}")
        return identity

    def _state(self) -> CampaignState:
        return CampaignState(self._redis(), self._opened().keys, self.campaign.name)

    def _redis(self) -> redis.Redis:
        if self._client is None:
            raise RuntimeError("expected a started conductor")
        return self._client

    def _opened(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("expected a started conductor")
        return self._connection
