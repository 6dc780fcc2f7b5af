"""A campaign checked whole: each section by the package that owns it, what is tried last, and its folder (adapter)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop_analyzer.checks import analyzer_problems, early_end_problems
from moireloop_broker import checks as broker_checks
from moireloop_broker.checks import secrecy_problems, target_problems
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.network.ports import is_loopback
from moireloop_broker.problems import Problem
from moireloop_broker.processes.file_lock import locks_within
from moireloop_optimizer.checks import optimizer_problems
from moireloop_optimizer.generators.check import generator_problems
from moireloop_worker.checks import fitting_workers, growth_problems, lammps_problems, machine_problems, steps_of_a_run
from moireloop_worker.settings import ALL


def cores_of_this_machine() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def with_counted_workers(campaign: Campaign) -> Campaign:
    """The same campaign with a number where the file says workers.count = "all", of one without problems.

    They share their machine or allocation with the services: a core for each analyzer and one for the rest are kept.
    """
    if campaign.workers.count != ALL:
        return campaign
    reserved = campaign.analyzers.count + 1
    count = fitting_workers(campaign.workers, campaign.lammps, cores_of_this_machine(), reserved)
    return campaign.model_copy(update={"workers": campaign.workers.model_copy(update={"count": count})})


def section_problems(campaign: Campaign, cores: int) -> list[Problem]:
    """Problems of each section, given the other sections and the machine's number of cores."""
    return [
        *growth_problems(campaign.growth, campaign.space, campaign.frames.every_steps),
        *target_problems(campaign.targets),
        *secrecy_problems(campaign.network, campaign.redis),
        *analyzer_problems(campaign.analyzers),
        *optimizer_problems(campaign.optimizer, campaign.budget),
        *machine_problems(campaign.workers, campaign.lammps, cores),
    ]


def trial_problems(campaign: Campaign) -> list[Problem]:
    """What shows only when it is planned or started, of a campaign without other problems: the first that is found."""
    return (
        _early_end_problems(campaign)
        or lammps_problems(campaign.lammps, campaign.workers.ranks)
        or generator_problems(campaign.optimizer, campaign.space, campaign.targets[0])
    )


def reach_problems(campaign: Campaign) -> list[Problem]:
    """Whether the sockets can listen at their addresses, and the Redis server to join responds."""
    return broker_checks.reach_problems(campaign.network, campaign.redis, _listening(campaign))


def _listening(campaign: Campaign) -> int:
    """How many ports the services of a campaign listen on: events, control, a private Redis, frames by TCP."""
    by_tcp = campaign.frames.transport == "tcp" or (
        campaign.frames.transport == "auto" and not is_loopback(campaign.network.host)
    )
    return 2 + (campaign.redis.url is None) + by_tcp * campaign.analyzers.count


def _early_end_problems(campaign: Campaign) -> list[Problem]:
    if not campaign.early_end.is_on:
        return []
    every = campaign.frames.every_steps
    steps = steps_of_a_run(campaign.growth, campaign.space, every)
    return [] if steps is None else early_end_problems(campaign.early_end, steps, every)


def folder_problems(folder: CampaignFolder, campaign_file: Path | None) -> list[Problem]:
    """Whether the campaign's folder can be made or used; nothing is left behind.

    Args:
        campaign_file: where the campaign file lies, unless it is the copy in this very folder.
    """
    root = folder.root
    if not os.path.lexists(root):
        return _parent_problems(root)
    if not root.is_dir():
        return [Problem("folder", f"expected a folder, got {root}, which is something else")]
    if campaign_file is not None and _is_same_file(folder.campaign_copy, campaign_file):
        return [Problem("folder", f"expected a separate folder, got {root}, where the campaign file lies")]
    strangers = sorted(path.name for path in root.iterdir() if path.name not in folder.own_names)
    if strangers and not folder.was_started:
        return [
            Problem("folder", f"expected a new or empty folder, got {root}, which holds {strangers[0]!r}"),
        ]
    if not _is_writable(root):
        return [Problem("folder", f"expected a folder that can be written to, got {root}")]
    return _lock_problems(root)


def _parent_problems(root: Path) -> list[Problem]:
    parent = root.parent
    if not parent.is_dir():
        return [Problem("folder", f"expected a place in a folder that exists, got {root}; make {parent} first")]
    if not _is_writable(parent):
        return [Problem("folder", f"expected a place that can be written to, got {root}; {parent} cannot")]
    return _lock_problems(parent)


def _lock_problems(folder: Path) -> list[Problem]:
    """Whether files in a folder can be locked, which keeps two sessions of one campaign apart."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            locks_within(file.fileno(), 0.0)
    except OSError as error:
        return [Problem("folder", f"expected a folder whose files can be locked, got {folder}: {error.strerror}")]
    return []


def _is_writable(folder: Path) -> bool:
    """The folder is tried, since permissions are not enough: root passes them, and a file system may be read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _is_same_file(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and first.samefile(second)
