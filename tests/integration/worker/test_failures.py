"""What can go wrong with a run, caused for real under a real pool: each ends the attempt with its own reason."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from moireloop_worker.lammps.writable import make_room
from tests.helpers.waiting import wait_until
from tests.integration.worker.conftest import StartPool
from tests.integration.worker.worker_campaign import LONG_BEAD, SMALL_BEAD, Campaign, ranks_of

Make = Callable[..., Campaign]
Inject = Callable[[Campaign, int], None]

SCRIPT = """
units metal
atom_style atomic
region cell block 0 20 0 20 0 20
create_box 1 cell
create_atoms 1 single {{lattice_strain}} {{shear_strain}} 10
create_atoms 1 single 5 5 5
mass 1 40
pair_style lj/cut 8
pair_coeff * * 0.01 3.4
velocity all create {{temperature_k}} {{seed}}
fix move all nve
run 100
"""


@dataclass(frozen=True)
class Cause:
    """Something that goes wrong: the settings or the blow that bring it about, and the reason that is reported."""

    name: str
    reason: str
    growth: dict[str, Any] = field(default_factory=lambda: dict(LONG_BEAD))
    workers: dict[str, Any] = field(default_factory=dict)
    before: Callable[[Campaign, ExitStack], None] = lambda campaign, undo: None
    blow: Inject = lambda campaign, pool: None


def script(old: str, new: str) -> dict[str, Any]:
    """A growth script with one command replaced."""
    assert old in SCRIPT
    return {
        "model": "script", "file": "/in.lammps", "text": SCRIPT.replace(old, new), "kept_as": "in.lammps",
        "files": {}, "frame_steps": 10, "lattice_types": [1],
    }  # fmt: skip


def keep_script(campaign: Campaign, undo: ExitStack) -> None:
    (campaign.folder / "in.lammps").write_text(SCRIPT, encoding="ascii")


def occupy(campaign: Campaign, undo: ExitStack) -> None:
    """A file stands where the folder of the run is to be."""
    (campaign.folder / "runs").mkdir()
    (campaign.folder / "runs" / "c0").write_text("in the way", encoding="ascii")


def blow(number: signal.Signals, rank: int) -> Inject:
    """A signal to one rank in the middle of its run."""

    def strike(campaign: Campaign, pool: int) -> None:
        wait_until(lambda: any(w.step > 1000 for w in campaign.state.status().workers), "the run is under way")
        os.kill(ranks_of(pool)[rank], number)

    return strike


CAUSES = [
    Cause("lost atoms", "ERROR: Lost atoms", {**SMALL_BEAD, "timestep_fs": 100.0, "spring_upper_ev_angstrom2": 5e3}),
    Cause("no number", "expected a potential energy that is a number|Non-numeric|no number",
          script("single 5 5 5", "single {{lattice_strain}} {{shear_strain}} 10"), before=keep_script),
    Cause("pair style", r"Unrecognized pair style 'nonsense'.*\[pair_style nonsense\]",
          script("pair_style lj/cut 8", "pair_style nonsense"), before=keep_script),
    Cause("force field", r"[Cc]annot open.*no\.such\.tersoff",
          script("lj/cut 8\npair_coeff * * 0.01 3.4", "tersoff\npair_coeff * * no.such.tersoff Ar"),
          before=keep_script),
    Cause("rank killed", r"rank died \(pid \d+ on \S+\): killed by SIGKILL", workers={"ranks": 2},
          blow=blow(signal.SIGKILL, 1)),
    Cause("rank aborts", r"rank died \(pid \d+ on \S+\): killed by SIGABRT", workers={"ranks": 2},
          blow=blow(signal.SIGABRT, 1)),
    Cause("stuck", r"stuck: no progress for \d+ s at step \d+ \(workers.stall_s = 3\)",
          workers={"ranks": 2, "stall_s": 3.0}, blow=blow(signal.SIGSTOP, 1)),
    Cause("run folder occupied", "cannot write runs/c0/attempt-1: Not a directory", SMALL_BEAD, before=occupy),
    Cause("run folder occupied, two ranks", "cannot write runs/c0/attempt-1: Not a directory", SMALL_BEAD,
          workers={"ranks": 2}, before=occupy),
]  # fmt: skip


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_failure_has_its_reason_and_the_pool_goes_on(
    cause: Cause, make_campaign: Make, start_pool: StartPool, undo: ExitStack
) -> None:
    """The attempt is charged, its reason is in the log and in the result, and the next candidate is taken."""
    campaign = make_campaign(cause.growth, lease_s=30.0, max_attempts=1, **cause.workers)
    cause.before(campaign, undo)
    campaign.propose("c0")
    campaign.propose("c1")
    pool = start_pool(campaign)
    cause.blow(campaign, pool.pid)
    (result,) = campaign.wait_for("result/3")[:1]
    failed = campaign.events("run_failed/1")[0]
    assert (result.candidate.candidate_id, result.outcome) == ("c0", "failed")
    assert (failed.candidate_id, failed.attempt, failed.charged) == ("c0", 1, True)
    assert result.reason == failed.reason
    assert re.search(cause.reason, failed.reason, re.DOTALL), failed.reason
    leased = campaign.wait_for("run_leased/1", 2)
    assert leased[1].candidate_id == "c1"
    assert pool.poll() is None


def test_small_disk_is_left_alone_when_it_has_room(tmp_path: Path) -> None:
    """A folder that can be written is made, and nothing is left in it."""
    make_room(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
