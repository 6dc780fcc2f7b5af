"""Whole campaigns in jobs of a real scheduler: from their start as a user's script to exactly one result for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moireloop_broker.contract.events import RunFinished
from tests.helpers.kernels import compiled_kernels
from tests.helpers.schedulers import Scheduler
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

__all__ = ["compiled_kernels"]

Make = Callable[..., RunningCampaign]


@pytest.fixture
def campaign(tmp_path: Path, compiled_kernels: None) -> Iterator[Make]:
    """Make a campaign: `campaign(workers={"count": 1}, results=4, steps=(500, 500))`."""
    made: list[RunningCampaign] = []

    def make(workers: str, **options: object) -> RunningCampaign:
        running = RunningCampaign(tmp_path, **options)  # type: ignore[arg-type]
        text = running.file.read_text(encoding="utf-8")
        running.file.write_text(
            text.replace("count = 2", workers).replace("oversubscribe = true", ""), encoding="utf-8"
        )
        made.append(running)
        return running

    yield make
    for running in made:
        running.close()


def script(folder: Path, name: str, *lines: str) -> Path:
    """A batch script."""
    file = folder / name
    file.write_text("\n".join(["#!/bin/bash", *lines, ""]), encoding="utf-8")
    file.chmod(0o755)
    return file


def test_two_jobs_feed_one_campaign(scheduler: Scheduler, campaign: Make, tmp_path: Path) -> None:
    """The campaign has no workers of its own; one pool from each job does, and the jobs end with it."""
    running = campaign("count = 0", results=6, steps=(500, 500))
    running.start()
    wait_until((running.folder / "connection.json").exists, "the session has begun")
    join = f"exec {sys.executable} -m moireloop join {running.folder} --workers all"
    jobs = [scheduler.submit(script(tmp_path, f"job{number}.sh", join), 1) for number in range(2)]
    code, output = running.end()
    said = "\n".join((tmp_path / f"job{number}.sh.out").read_text() for number in range(2))
    assert code == 0, output + said
    events = running.assert_exactly_one_result_each(6)
    workers = {event.report.worker for event in events if isinstance(event, RunFinished)}
    assert all(any(f"-{job}-worker-0" in worker for worker in workers) for job in jobs), (workers, said)
    wait_until(lambda: all(scheduler.is_over(job) for job in jobs), "both jobs end", 30)
