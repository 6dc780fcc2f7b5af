"""What the tests run under `mpiexec -n 2`: one case by name, its findings as a line of JSON from rank 0."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from moireloop_worker.lammps.capture import Atoms, gathered
from moireloop_worker.lammps.engine import Engine, LammpsError, Watch
from moireloop_worker.lammps.restarts import RestartFiles
from moireloop_worker.models.bead import Bead
from moireloop_worker.models.growth_model import Plan
from moireloop_worker.models.settings import BeadSettings
from moireloop_worker.run.ranks import quiet_broadcast

COMM = MPI.COMM_WORLD
SETTINGS = BeadSettings(cells=(8, 8), anneal_steps=30, quench_steps=30)
PARAMETERS = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.03}


def plan_from(prepared: str) -> Plan:
    return Bead(SETTINGS).plan(PARAMETERS, 7, prepared)


def without_thermostat(plan: Plan) -> Plan:
    """Langevin noise depends on the number of ranks, Newton's equations do not."""
    stages = tuple(replace(s, commands=tuple(c for c in s.commands if "heat" not in c)) for s in plan.stages)
    return replace(plan, stages=stages)


def trajectory(engine: Engine, prepared: str) -> Any:
    final = engine.run(without_thermostat(plan_from(prepared)), every_steps=7).final
    return None if final is None else (final.positions.tolist(), final.types.tolist(), final.temperature_k)


def error_everywhere(engine: Engine, prepared: str) -> Any:
    plan = plan_from(prepared)
    bad = replace(plan, forces=(*plan.forces, "fix wrong all nonsense"))
    messages = []
    for _ in range(3):
        try:
            engine.run(bad)
        except LammpsError as error:
            messages.append(str(error))
    return (COMM.gather(messages), engine.run(plan).steps)


def error_on_one(engine: Engine, prepared: str) -> Any:
    plan = plan_from(prepared)
    return engine.run(replace(plan, forces=(*plan.forces, f"include {prepared}.missing"))).steps


class StopInTheMiddle(Watch):
    """Stops the run at its first look-up from step 20 on; another attempt goes on."""

    def stop(self, step: int) -> bool:
        return step >= 20

    def goes_on(self, step: int) -> bool:
        return True


def restarts_in(prepared: str) -> RestartFiles:
    return RestartFiles(Path(prepared).parent / "restarts", "this plan", 0, 1e6)


def interrupted(engine: Engine, prepared: str) -> Any:
    plan = without_thermostat(plan_from(prepared))
    ended = engine.run(plan, every_steps=1, watch=StopInTheMiddle(), restarts=restarts_in(prepared))
    return (ended.steps, ended.goes_on)


def resumed(engine: Engine, prepared: str) -> Any:
    ended = engine.run(without_thermostat(plan_from(prepared)), every_steps=7, restarts=restarts_in(prepared))
    assert ended.resumed_from is not None
    final = ended.final
    return None if final is None else (final.positions.tolist(), final.step, ended.resumed_from.step)


def resumed_error_on_one(engine: Engine, prepared: str) -> Any:
    plan = without_thermostat(plan_from(prepared))
    bad = replace(plan, forces=(*plan.forces, f"include {prepared}.missing"))
    return engine.run(bad, restarts=restarts_in(prepared)).steps


def idle(engine: Engine, prepared: str) -> Any:
    began = time.process_time()
    if COMM.rank == 0:
        time.sleep(1.0)
    quiet_broadcast(COMM, "done")
    return COMM.gather(time.process_time() - began)


def uneven(engine: Engine, prepared: str) -> Any:
    """Two snapshots of which rank r has 0, 7, 14 ... and 1, 2, 3 ... atoms."""
    snapshots = []
    for number, count in enumerate((7 * COMM.rank, COMM.rank + 1)):
        ids = 100 * COMM.rank + np.arange(count) + 1
        places = np.outer(ids, [1.0, 2.0, 3.0]) + number
        snapshots.append(Atoms(ids, places, np.full(count, COMM.rank + 1)))
    return [(atoms.ids.tolist(), atoms.places.tolist(), atoms.types.tolist()) for atoms in gathered(COMM, snapshots)]


def main() -> None:
    case, folder = sys.argv[1], Path(sys.argv[2])

    def report(message: str) -> None:
        (folder / "reported").write_text(f"{COMM.rank} {message}")

    engine = Engine(COMM, on_lone_error=report)
    answer = globals()[case](engine, str(folder / "start.data"))
    if COMM.rank == 0:
        (folder / "answer.json").write_text(json.dumps(answer))
    engine.close()


if __name__ == "__main__":
    main()
