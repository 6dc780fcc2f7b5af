"""What is shown of a campaign in several states of it, on a terminal and in a log."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from rich.console import Console

from moireloop.session.progress import Progress, progress_of, restarts_passed_over, time_left_s
from moireloop.terminal.picture import is_line_due, line, picture
from moireloop.terminal.progress_view import ProgressView
from moireloop_broker.contract.control import RESTARTS_PASSED_OVER, PoolStatus, Status, WorkerStatus
from moireloop_broker.contract.events import Result, RunFailed, ServiceChanged
from moireloop_broker.contract.search import Target
from moireloop_worker.lammps.restarts import DAMAGED, OTHER_LAMMPS, OTHER_PLAN, REFUSED
from tests.unit.campaign.conftest import MakeResult

TARGETS = [Target(twist_deg=8.2, tolerance_deg=0.3)]
START_S = 100.0
CRASH = ServiceChanged(service="optimizer", state="crashed", reason="exit code 1\nlast lines of its log", at_s=103.0)


def status(
    state: Literal["started", "draining", "completed"] = "started",
    workers: Sequence[WorkerStatus] = (),
    services: dict[str, str] | None = None,
    **counts: int,
) -> Status:
    """A status with these counts."""
    return Status(
        campaign="search", state=state, counts=counts, counters={}, workers=list(workers), services=services or {},
        pools=[], last_id="5-0",
    )  # fmt: skip


def progress(present: Status, results: Sequence[Result] = (), now_s: float = 110.0, **more: Any) -> Progress:
    """The progress of a campaign of 40 results that began at 100 s."""
    return progress_of(present, results, TARGETS, budget_results=40, started_s=START_S, now_s=now_s, **more)


def shown(view: Progress, width: int = 120) -> str:
    """The picture as plain text."""
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(picture(view))
    return captured.get()


def test_beginning_shows_zeros_and_no_guess() -> None:
    """At the start nothing is done, and no time left, utilisation or best is invented."""
    text = shown(progress(status(queued=3)))
    assert text.splitlines()[2].rstrip() == "3 queued, 0 running, 0 analysing"
    for piece in ("search", "0 of 40 results", "3 queued, 0 running, 0 analysing", "target 8.2°: no twist yet",
                  "elapsed 10 s"):  # fmt: skip
        assert piece in text
    assert "left" not in text
    assert "LAMMPS" not in text


def test_middle_shows_counts_best_workers_and_utilisation(make_result: MakeResult) -> None:
    """In the middle there are the counts, the best twist, what each worker does, and how busy they were."""
    results = [
        make_result(1, twist_deg=8.5, leased_s=100.0, finished_s=102.0, md_s=1.9),
        make_result(2, leased_s=102.0, finished_s=104.0, md_s=1.9),
        make_result(3, twist_deg=8.1, leased_s=104.0, finished_s=106.0, md_s=1.9),
    ]
    workers = [
        WorkerStatus(worker="worker-2", seen_s=109.0),
        WorkerStatus(worker="worker-1", candidate_id="c-0004", attempt=2, step=1500, seen_s=95.0),
    ]
    view = progress(status(workers=workers, queued=2, running=1, analysing=1), results)
    text = shown(view)
    for piece in ("3 of 40 results", "2 queued, 1 running, 1 analysing", "2 measured, 1 refused", "best 8.10°",
                  "0.10° off, c-0003", "c-0004, step 1500, attempt 2, silent for 15 s", "waits for a candidate",
                  "workers 95.0 % in LAMMPS"):  # fmt: skip
        assert piece in text
    assert [worker.worker for worker in view.workers] == ["worker-1", "worker-2"]
    assert [worker.is_busy for worker in view.workers] == [True, False]


def test_end_shows_the_end(make_result: MakeResult) -> None:
    """When all results are there, no time is left."""
    results = [make_result(number, twist_deg=8.1) for number in range(40)]
    view = progress(status("completed"), results)
    assert view.done == 40
    assert view.left_s == 0.0
    assert "completed" in line(view)
    assert "40/40 done" in line(view)


def test_cancelled_results_do_not_use_up_the_budget(make_result: MakeResult) -> None:
    """Cancelled candidates are shown, but do not count as done."""
    view = progress(status(), [make_result(1, twist_deg=8.1), make_result(2, outcome="cancelled")])
    assert view.done == 1
    assert "1 cancelled" in shown(view)


def test_crash_is_shown_with_its_reason() -> None:
    """The last crash of a service is shown with the first line of its reason, and what is down now."""
    view = progress(status(services={"optimizer": "crashed", "broker": "started"}), last_crash=CRASH)
    for text in (shown(view), line(view)):
        assert "optimizer crashed 7 s ago: exit code 1" in text
        assert "down: optimizer" in text
        assert "last lines" not in text


def test_line_is_one_line(make_result: MakeResult) -> None:
    """The line for a log has everything that matters and no line end."""
    text = line(progress(status(queued=1, running=2), [make_result(1, twist_deg=8.5)], last_crash=CRASH))
    assert text.startswith("search started: 1/40 done; 1 queued, 2 running, 0 analysing; target 8.2°: best 8.50°")
    assert "\n" not in text


def test_time_left_is_the_pace_of_the_last_results() -> None:
    """Results every 2 s, the last one 1 s ago, 5 to come: 9 s."""
    assert time_left_s([100.0, 102.0, 104.0], remaining=5, now_s=105.0) == pytest.approx(9.0)


def test_time_left_ends_with_the_budget_of_time() -> None:
    """When the wall time ends first, that is the time left; also before the pace is known."""
    assert time_left_s([100.0, 102.0, 104.0], 500, 105.0, elapsed_s=50.0, wall_time_s=60.0) == pytest.approx(10.0)
    assert time_left_s([], 5, 105.0, elapsed_s=50.0, wall_time_s=60.0) == pytest.approx(10.0)
    assert time_left_s([], 5, 105.0, elapsed_s=70.0, wall_time_s=60.0) == 0.0


def test_time_left_is_a_limit_until_results_have_a_pace(make_result: MakeResult) -> None:
    """Before that the budget of wall time says how long it takes at most; then the pace says about how long."""
    assert "at most 50 s left" in shown(progress(status(queued=3), wall_time_s=60.0))
    results = [make_result(number, twist_deg=8.2, logged_s=START_S + 2 * number) for number in (1, 2, 3)]
    assert "about 50 s left" in shown(progress(status(measured=3), results, wall_time_s=60.0))


def test_time_left_is_not_guessed_from_two_results() -> None:
    """Two results, or three at one instant, tell no pace."""
    assert time_left_s([100.0, 102.0], 5, 105.0) is None
    assert time_left_s([100.0, 100.0, 100.0], 5, 105.0) is None


def test_results_before_a_resume_tell_no_pace(make_result: MakeResult) -> None:
    """After a resume, the pace is taken from this session alone."""
    results = [make_result(number, twist_deg=8.0, leased_s=10.0 + number) for number in range(10)]
    assert progress(status(), results).left_s is None


def test_line_is_due_at_first_after_a_while_and_at_changes() -> None:
    """A log gets a line at first, then every few seconds, and at once when the state changes or a service crashes."""
    calm = progress(status())
    assert is_line_due(calm, None, 0.0, 5.0)
    assert not is_line_due(calm, calm, 4.9, 5.0)
    assert is_line_due(calm, calm, 5.0, 5.0)
    assert is_line_due(progress(status("draining")), calm, 0.1, 5.0)
    assert is_line_due(progress(status(), last_crash=CRASH), calm, 0.1, 5.0)
    crashed = progress(status(), last_crash=CRASH)
    assert not is_line_due(progress(status(), now_s=112.0, last_crash=CRASH), crashed, 0.1, 5.0)


def test_pipe_gets_lines() -> None:
    """Without a terminal there is one plain line every few seconds."""
    file = io.StringIO()
    with ProgressView(Console(file=file, width=40), line_every_s=5.0) as view:
        for now_s in range(12):
            view.show(progress(status(), now_s=START_S + now_s), float(now_s))
    lines = file.getvalue().splitlines()
    assert [text.rpartition("elapsed ")[2] for text in lines] == ["0 s", "5 s", "10 s"]


def test_terminal_gets_a_live_picture(make_result: MakeResult) -> None:
    """On a terminal the picture is redrawn in its place, with colours."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system="standard")
    with ProgressView(console) as view:
        view.show(progress(status(queued=1)), 0.0)
        view.show(progress(status(queued=7), [make_result(1, twist_deg=8.2)]), 0.1)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert "7 queued" in plain
    assert plain.index("0 of 40 results") < plain.index("1 of 40 results")


def test_failures_are_shown_with_their_reasons() -> None:
    """All of the last ones in the picture, brackets of LAMMPS's commands included, the newest in a line of text."""
    failures = [
        RunFailed(candidate_id=f"c{n}", attempt=2, worker="w", reason=f"{n} off\n[run 20]", charged=True, failed_s=90.0)
        for n in (1, 2)
    ]
    view = progress(status(), last_failures=failures)
    assert "! c1 attempt 2 failed 20 s ago: 1 off [run 20]" in shown(view)
    assert "! c2 attempt 2 failed 20 s ago: 2 off [run 20]" in shown(view)
    assert "c1 attempt" not in line(view)
    assert line(view).endswith("c2 attempt 2 failed 20 s ago: 2 off [run 20]")


def test_skipped_restart_files_are_shown() -> None:
    """Those of this session, by reason: in the picture, in a line, and in a log at once."""
    before = {"restarts_passed_over_damaged": 2, "frames_dropped": 5}
    now = {**before, "restarts_passed_over_damaged": 3, "restarts_passed_over_other_plan": 2}
    calm = progress(status().model_copy(update={"counters": before}), counters_before=before)
    view = progress(status().model_copy(update={"counters": now}), counters_before=before)
    assert calm.restarts_passed_over == ()
    for text in ("2 runs did not continue from the newest restart file: it belongs to another plan than the run's ",
                 "1 run did not continue from the newest restart file: it is damaged"):  # fmt: skip
        assert text in line(view)
        assert text in " ".join(shown(view).split())
    assert is_line_due(view, calm, 0.1, 5.0)
    assert not is_line_due(view, view, 0.1, 5.0)


@pytest.mark.parametrize("reason", [OTHER_PLAN, OTHER_LAMMPS, DAMAGED, REFUSED])
def test_each_reason_to_pass_a_restart_file_over_has_its_words(reason: str) -> None:
    """The workers' reasons and the words for them are the same ones."""
    assert len(restarts_passed_over({RESTARTS_PASSED_OVER + reason: 1}, {})) == 1


@pytest.mark.parametrize(
    ("phase", "fault", "doing"),
    [
        ("waiting", None, "waits for its place in the queue of the scheduler"),
        ("starting", None, "is started"),
        ("starting", "no room", "is started again, since it did not become ready: no room"),
        ("held", "disk full", "takes no candidates until this is fixed: disk full"),
        ("up", None, "waits for a candidate"),
    ],
)
def test_workers_say_how_they_fare(phase: Any, fault: str | None, doing: str) -> None:
    """What keeps a worker from taking candidates stands beside it, and once among the troubles."""
    workers = [WorkerStatus(worker=f"worker-{n}", seen_s=109.0, phase=phase, fault=fault) for n in range(2)]
    shown = progress_of(status(workers=workers), [], [], budget_results=3, started_s=100.0, now_s=110.0)
    assert [line.doing for line in shown.workers] == [doing, doing]
    assert shown.faults == (() if fault is None else (f"2 workers take no candidates: {fault}",))


def test_pools_that_joined_are_shown_with_their_ends_and_silence() -> None:
    """Where the session's own pool is the only one, its workers say enough."""
    main = PoolStatus(pool="main", host="n1", launcher="local", workers=2, seen_s=109.0)
    night = PoolStatus(pool="night", host="n17", launcher="slurm", workers=1, seen_s=80.0, ends_s=3710.0)
    with_pool = status().model_copy(update={"pools": [main]})
    assert "pool" not in shown(progress(with_pool))
    text = shown(progress(with_pool.model_copy(update={"pools": [main, night]})))
    assert "pool main on n1, 2 workers, local" in text
    assert "pool night on n17, 1 worker, slurm, ends in 1 h 00 min, silent for 29 s" in text


def test_silence_of_pools_is_not_judged_by_the_clock_of_the_viewer() -> None:
    """They speak by the server's clock: another pool, or the log, says that one is silent."""
    night = PoolStatus(pool="night", host="n17", launcher="slurm", workers=1, seen_s=10.0)
    alone = status(services={"pool": "stopped", "pool-night": "started"}).model_copy(update={"pools": [night]})
    assert "pool night on n17, 1 worker, slurm" in shown(progress(alone))
    assert "silent" not in shown(progress(alone))
    lost = alone.model_copy(update={"services": {"pool": "stopped", "pool-night": "crashed"}})
    assert "pool night on n17, 1 worker, slurm, silent" in shown(progress(lost))


def test_what_is_waited_for_and_missing_is_shown() -> None:
    """Services that start by themselves and were not heard of; workers, where none has joined."""
    waiting = status(services={"analyzer": "waiting", "optimizer": "waiting", "broker": "started"})
    assert "! waiting for: analyzer, optimizer" in shown(progress(waiting))
    none = status(services={"pool": "stopped"})
    assert "no pool has joined" in shown(progress(none))
    joined = none.model_copy(update={"pools": [PoolStatus(pool="night", workers=1, seen_s=109.0)]})
    assert "no pool has joined" not in shown(progress(joined))


def test_connections_are_reported_before_they_run_out() -> None:
    """Nearly as many connections as Redis takes are a fault that is named; fewer, or an unknown number, are none."""

    def lines(**counters: int) -> tuple[str, ...]:
        return progress(status().model_copy(update={"counters": counters})).faults

    assert lines() == ()
    assert lines(redis_connections=79, redis_connections_most=100) == ()
    (line,) = lines(redis_connections=81, redis_connections_most=100)
    assert line.startswith("Redis has 81 of at most 100 connections")
