"""Runs one campaign: starts the services, watches them, knows when it is over, and keeps its results (main)."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Literal

import redis

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.checks import with_counted_workers
from moireloop.results.summary import SHARE, Summaries, Summary, summary_of, tally_of
from moireloop.services.elsewhere import ElsewhereSet
from moireloop.services.service_set import MAX_CRASHES, Crash, ServiceSet, ServiceSpec
from moireloop.session.digest import EVERY_S, LEAST_RESULTS, Digest, digest_of, write_digest
from moireloop.session.ending import (
    Ending,
    ending_of,
    failure_of,
    given_back,
    is_complete,
    should_drain,
    wall_time_reason,
    without_success,
)
from moireloop.session.history import TAGS, History
from moireloop.session.lock import conductor_name
from moireloop.session.opening import close_session, hold_sockets, note_session, open_session, say_ready
from moireloop.session.progress import Progress, progress_of
from moireloop.session.records import refuse_lost_log
from moireloop.session.resumption import requests_of_file, steerable
from moireloop.session.start_condition import ANALYZER_PREFIX, may_begin
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
from moireloop_broker.contract.events import BUDGET_OUTCOMES, Requested
from moireloop_broker.contract.message import START
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.identity import Identity, read_identity, write_identity
from moireloop_broker.membership.heartbeats import BEAT_S, CONDUCTOR, alive, say_alive
from moireloop_broker.membership.pools import any_alive
from moireloop_broker.processes.clock import boot_s
from moireloop_broker.processes.trial import ONE_THREAD
from moireloop_broker.service.redis_server import holder_of_data
from moireloop_broker.service.state_watch import StateWatch
from moireloop_broker.service.stored_redis import data_mark
from moireloop_broker.state.campaign_state import RUNNING, CampaignState, ServiceState, frame_endpoints
from moireloop_broker.state.event_log import EventLog, LogRolledBack
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.redis_client import open_impatient
from moireloop_broker.state.series import Series
from moireloop_broker.state.settings_store import change_settings, read_settings, write_settings_file
from moireloop_broker.state.work_queue.queues import create_queues
from moireloop_worker.launchers.walltime import Walltime

log = logging.getLogger(__name__)

PATIENCE_S = 15.0

AT_ONCE_S = 0.5

BROKER_AT_ONCE_S = 2.0

LEAVE_S = 10.0

SHORT_LEAVE_S = 1.0

FULL_BYTES = 1024 * 1024

AS_IN_FILE = "file"
"""The section of the settings that has targets, space and budget as the campaign file had them last."""


def full_disk_hint(folder: Path, free_bytes: int, said: str = "") -> str:
    """What is likely wrong when services die and the disk is full: their last words did not fit on it either."""
    if free_bytes >= FULL_BYTES and "No space left" not in said:
        return ""
    return f", and the disk of {folder} is full; make room there, then continue with `moireloop resume`"


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
        self.campaign = with_counted_workers(campaign)
        self._of_file = campaign
        self.folder = folder
        self.history = History.kept()
        self.started_s = time.time()
        self._began_s = boot_s()
        self._resumed = resumed
        self._without = frozenset(without)
        self._services = (ServiceSet if elsewhere is None else ElsewhereSet)(folder.services_lock)
        self._broker_s = READY_S if elsewhere is None else elsewhere
        self._say = say
        self._beat_s = float("-inf")
        self._told_waiting: list[str] = []
        self._until_s = until_s
        self._walltime = Walltime(campaign.workers.reserve_s, self.started_s, until_s)
        self._given_back: str | None = None
        self._unlogged: list[tuple[str, ServiceState, str | None]] = []
        self._pool: ServiceSpec | None = None
        self._waited_s = 0.0
        self._drain_reason: str | None = None
        self._last_id = START
        self._progress: Progress | None = None
        self._counters_before: dict[str, int] | None = None
        self._failure: str | None = None
        self._connection: Connection | None = None
        self._client: redis.Redis | None = None
        self._sockets: int | None = None
        self._watch: StateWatch | None = None
        self._summaries = Summaries()
        self._digest_due_s = 0.0
        self._left: Digest | None = None

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
        self._start(broker)
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
            self._take_over_requests()
            counted = sum(self.history.outcomes[outcome] for outcome in BUDGET_OUTCOMES)
            clear_earlier_session(self._client, connection.keys, self.campaign, counted)
        change_settings(self._client, connection.keys, {AS_IN_FILE: steerable(self._of_file)})
        self._state().change("resumed" if self._resumed else "started")
        write_identity(self.folder.root, identity.model_copy(update={"has_begun": True}))
        say_ready(self._client, connection.keys, identity)
        if isinstance(self._services, ElsewhereSet):
            self._services.follow(self._client, connection.keys)
        for spec in service_specs(self.campaign, self.folder, self._until_s):
            if spec.name == "pool":
                self._pool = spec
            elif spec.name not in self._without:
                self._start(spec)

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
            self._note_changes()
            self._read_log()
            self._log_services()
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
        self._keep_digest()
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
            self._left = self._last_digest()
            self._await_joined_pools(SHORT_LEAVE_S if ending.goes_on_later else LEAVE_S)

    def _await_joined_pools(self, patience_s: float) -> None:
        """Give pools that joined a moment to see the end and to leave, before Redis goes."""
        deadline_s = time.monotonic() + patience_s
        while self._others_are_there() and time.monotonic() < deadline_s:
            time.sleep(0.1)

    def _others_are_there(self) -> bool:
        """Whether a pool, or a service that started by itself, has not left yet; the broker is the last to leave."""
        client, keys = self._redis(), self._opened().keys
        services = alive(client, keys).keys() - {"broker", CONDUCTOR} if self.is_elsewhere else set()
        return bool(services) or any_alive(client, keys)

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
            self._keep_last_digest(self._connection)
            close_session(self._connection)
        self._services.release()

    def _start(self, spec: ServiceSpec) -> None:
        self._services.start(spec)
        if not isinstance(self._services, ElsewhereSet):
            self._unlogged.append((spec.name, "started", None))

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
            self._unlogged.append(("pool", "stopped", "only pools that join have workers"))
        else:
            self._start(self._pool)
        self._pool = None

    def _wall_time_s(self) -> float | None:
        budget_s = self.campaign.budget.wall_time_s
        return None if budget_s is None else budget_s + self._waited_s

    def _note_crash(self, crash: Crash) -> None:
        if crash.gave_back:
            self._unlogged.append((crash.service, "stopped", "its allocation ends"))
            self.give_back("the allocation of the workers ends")
            return
        self._unlogged.append((crash.service, "crashed", crash.reason))
        if crash.restarts:
            self._unlogged.append((crash.service, "started", None))
        log.warning("service crashed name=%s reason=%s", crash.service, crash.reason)
        log_file = self.folder.log_of(crash.service)
        if crash.is_final:
            raise ServiceFailed(f"{crash.service} cannot run: {crash.reason} (see {log_file})")
        if crash.deaths >= MAX_CRASHES:
            hint = full_disk_hint(self.folder.root, shutil.disk_usage(self.folder.root).free)
            raise ServiceFailed(f"{crash.service} died {MAX_CRASHES} times{hint}: {crash.reason} (see {log_file})")

    def _say_alive(self) -> None:
        if boot_s() - self._beat_s >= BEAT_S:
            say_alive(self._redis(), self._opened().keys, CONDUCTOR)
            self._beat_s = boot_s()

    def _note_changes(self) -> None:
        """What became of services that start by themselves, and which are waited for."""
        if not isinstance(self._services, ElsewhereSet):
            return
        self._unlogged += [(name, state, None) for name, state in self._services.take_changes()]
        missing = self._services.missing
        if missing != self._told_waiting:
            self._state().services_wait(self._told_waiting, missing)
            self._told_waiting = missing

    def _log_services(self) -> None:
        while self._unlogged:
            self._state().service_changed(*self._unlogged[0])
            self._unlogged.pop(0)

    def _read_log(self) -> None:
        try:
            read = self._opened().event_log(self._redis())
            try:
                for _, event in read.replay(self._last_id, TAGS):
                    self.history.note(event)
            finally:
                self._last_id = read.replayed_to or self._last_id
        except LogRolledBack as error:
            log.warning("reading the log again reason=%s", error)
            self._last_id = START
            self.history = History.kept()
        self.campaign = self._of_file.after(self.history.steered)

    def _take_over_requests(self) -> None:
        """Targets, space and budget stay as controllers left them, unless the file says otherwise since."""
        client, keys = self._redis(), self._opened().keys
        settings = read_settings(client, keys)
        before = settings.plain(AS_IN_FILE) if AS_IN_FILE in settings else None
        for request in requests_of_file(self._of_file, before, self.history.steered):
            EventLog(client, keys).append(Requested(requester=request.requester, request=request, at_s=time.time()))
        self._read_log()
        change_settings(client, keys, steerable(self.campaign))

    def _apply_drain(self) -> None:
        state = self._state()
        present = state.state
        if present is None:
            raise ServiceFailed("the Redis server has lost the campaign: was it emptied, or started without its data?")
        if self._drain_reason is not None and present in RUNNING:
            state.change("draining", self._drain_reason)

    def _drain_in_time(self, progress: Progress) -> None:
        if progress.state == "draining" or self.campaign.budget.wall_time_s is None:
            return
        run_s = tally_of(self.history.results).median_run_s
        limit_s, budget_s = self._wall_time_s(), self.campaign.budget.wall_time_s
        if limit_s is not None and budget_s is not None and should_drain(progress.elapsed_s, limit_s, run_s):
            self.drain(wall_time_reason(progress.elapsed_s, limit_s, budget_s))

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
            summary=self._summary(),
            seen=self.history.outcomes,
            uncounted=self.history.counted_outside,
        )

    def _summary(self) -> Summary:
        """The summary of all results so far, or a moment ago."""
        history = self.history
        return self._summaries.look(
            history.results, self.campaign.targets, history.resumed_at_s, boot_s(), history.withheld
        )

    def _keep_digest(self) -> None:
        """Write the digest of a long campaign, at a small share of the time."""
        if len(self.history.results) < LEAST_RESULTS or boot_s() < self._digest_due_s:
            return
        began_s = time.perf_counter()
        with contextlib.suppress(OSError):
            write_digest(self.folder, digest_of(self._last_id, self.history, self._summary()))
        self._digest_due_s = boot_s() + max(EVERY_S, (time.perf_counter() - began_s) / SHARE)

    def _last_digest(self) -> Digest | None:
        """The digest of a campaign at the end of its session, with its status; None of a short one."""
        history = self.history
        if len(history.results) < LEAST_RESULTS:
            return None
        summary = summary_of(history.results, self.campaign.targets, history.resumed_at_s, history.withheld)
        return replace(digest_of(self._last_id, history, summary), status=self._state().status())

    def _keep_last_digest(self, connection: Connection) -> None:
        """Keep the last digest, with the mark of the data that a server of our own has left."""
        if self._left is None:
            return
        has_ended = connection.private_redis and holder_of_data(self.folder.redis) is None
        mark = data_mark(self.folder.redis) if has_ended else ""
        with contextlib.suppress(OSError):
            write_digest(self.folder, replace(self._left, mark=mark))

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
