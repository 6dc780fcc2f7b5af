"""What the tests of frames in parts run under `mpiexec -n 2`: one case by name, what rank 0 found as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from moireloop_broker.contract.events import Candidate
from moireloop_broker.contract.frames import Frame, FrameHeader
from moireloop_broker.state.work_queue.leases import Lease
from moireloop_broker.streams.frames import FramePublisher
from moireloop_broker.streams.parts import PartSender
from moireloop_worker.lammps.engine import Engine, Watch
from moireloop_worker.models.growth_model import Configuration, Plan, Selection, Stage
from moireloop_worker.models.noop import Noop
from moireloop_worker.models.settings import NoopSettings
from moireloop_worker.run.frame_outlet import FrameOutlet
from moireloop_worker.run.leader import FrameWatch
from tests.integration.worker.argon import argon

COMM = MPI.COMM_WORLD
SIDE, SPACING = 100, 3.0
LEASE = Lease(Candidate(candidate_id="c1", parameters={"x": 1.0}, seed=0, proposed_s=0.0), 1, "w", 0.0, 0.0)


class Recorder(Watch):
    """Keeps all snapshots."""

    def __init__(self) -> None:
        self.snapshots: list[Configuration] = []

    def frame(self, snapshot: Configuration) -> None:
        self.snapshots.append(snapshot)


def outlet_to(folder: Path, kept_bytes: int = 64 * 1024 * 1024) -> FrameOutlet:
    """An outlet to the analyzer whose socket lies in the folder."""
    endpoint = f"ipc://{folder}/frames"
    whole = FramePublisher(lambda: frozenset({endpoint})) if COMM.rank == 0 else None
    return FrameOutlet(COMM, whole, PartSender(chooses=COMM.rank == 0), kept_bytes=kept_bytes)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.02)


def rows(snapshots: list[Configuration]) -> list[list[list[float]]]:
    """Of each snapshot its atoms, type and place, in their own order."""
    atoms = (np.column_stack([s.types, s.positions]) for s in snapshots)
    return [one[np.lexsort(one.T)].tolist() for one in atoms]


def gathered_and_in_parts(_: Path) -> Any:
    """The same run twice, its snapshots gathered by the engine, and gathered here from their parts."""
    engine, plan = Engine(COMM), argon("metal", 40, cells=4)
    whole, parts = Recorder(), Recorder()
    engine.run(plan, every_steps=8, watch=whole, selection=Selection(part_atoms=10_000))
    final = engine.run(plan, every_steps=8, watch=parts, selection=Selection(part_atoms=10)).final
    gathered = COMM.gather([(s.step, s.part, s.parts, len(s.types), s.potential_ev) for s in parts.snapshots])
    everything = COMM.gather(parts.snapshots)
    engine.close()
    if everything is None or gathered is None:
        return None
    from_parts = [
        Configuration(
            0, 0.0, None, a.cell, np.concatenate([a.positions, b.positions]), np.concatenate([a.types, b.types])
        )
        for a, b in zip(*everything, strict=True)
    ]
    assert final is not None
    energies = [s.potential_ev for s in whole.snapshots]
    return rows(whole.snapshots), rows(from_parts), gathered, energies, [len(final.types), final.parts]


def lattice_types_alone(_: Path) -> Any:
    """Parts of a selection: how many atoms each rank has, and of which types."""
    engine, parts = Engine(COMM), Recorder()
    selection = Selection(types=(2,), part_atoms=10)
    final = engine.run(argon("metal", 40, cells=4), every_steps=8, watch=parts, selection=selection).final
    gathered = COMM.gather([(len(s.types), sorted(set(s.types.tolist()))) for s in parts.snapshots])
    engine.close()
    return gathered, None if final is None else len(final.types)


def million(folder: Path) -> Any:
    """A million atoms at rest on a lattice, three frames of them sent in parts."""
    outlet, engine = outlet_to(folder), Engine(COMM)
    structure = (
        f"lattice sc {SPACING}",
        f"region cell block 0 {SIDE} 0 {SIDE} 0 {SIDE}",
        "create_box 1 cell",
        "create_atoms 1 box",
    )
    forces = ("mass * 40", "pair_style zero 3.5 nocoeff", "pair_coeff * *", "fix motion all nve", "timestep 0.001")
    plan = Plan(("units metal", "atom_style atomic"), structure, forces, (Stage("rest", (), 8),), 0.001)
    watch = FrameWatch(LEASE, Noop(NoopSettings()), outlet)
    final = engine.run(plan, every_steps=2, watch=watch, selection=Selection(part_atoms=100_000)).final
    peak_mb = COMM.gather(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    sent = (outlet.sent, outlet.dropped)
    if COMM.rank == 0 and final is not None:
        (folder / "final.npy").write_bytes(final.positions.tobytes())
    finish(folder, outlet)
    return peak_mb, sent


def stalled(folder: Path) -> Any:
    """Many parts to an analyzer that takes none, and some to one that does: frames sent, frames dropped."""
    outlet = outlet_to(folder, kept_bytes=1_000_000)
    for step in range(200):
        outlet.publish(own_part(step, 20_000 + 1000 * COMM.rank))
        time.sleep(0.001)
    COMM.Barrier()
    (folder / "stalled").touch()
    wait_for(folder / "caught up")
    for step in range(200, 300):
        outlet.publish(own_part(step, 20_000 + 1000 * COMM.rank))
    outlet.ended()
    finish(folder, outlet)
    return outlet.sent, outlet.dropped


def uneven(folder: Path) -> Any:
    """Frames for nobody, rank 1 has all atoms: frames that wait on each rank and frames dropped, in and after a run."""
    outlet, reports = outlet_to(folder, kept_bytes=1_000_000), []
    for step in range(20):
        outlet.publish(own_part(step, 20_000 * COMM.rank))
    reports.append((COMM.gather(outlet.waiting), outlet.dropped))
    outlet.publish(own_part(20, 0))
    outlet.ended()
    reports.append((COMM.gather(outlet.waiting), outlet.dropped))
    outlet.close()
    return reports


def own_part(step: int, atoms: int) -> Frame:
    header = FrameHeader(
        candidate_id="c1",
        attempt=1,
        step=step,
        time_ps=step * 0.001,
        cell=[[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]],
        periodic=[True, True, True],
        shape=[atoms, 3],
        lattice_types=[1],
        part=COMM.rank,
        parts=COMM.size,
    )
    return Frame(header, np.full((atoms, 3), step, dtype=np.float32), np.full(atoms, 1 + COMM.rank, dtype=np.uint8))


def finish(folder: Path, outlet: FrameOutlet) -> None:
    """Wait until all that was sent is taken, since closing a socket drops what is in it."""
    COMM.Barrier()
    (folder / "sent").touch()
    wait_for(folder / "taken")
    outlet.close()


def main() -> None:
    case, folder = sys.argv[1], Path(sys.argv[2])
    answer = globals()[case](folder)
    if COMM.rank == 0:
        (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
