"""Names of pools and of their workers: which worker belongs to which pool (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MAIN: Final = "main"
"""The pool that a session starts for itself."""

SERVICE_PREFIX: Final = "pool-"
"""Prefix of joined pools among the services."""

LONGEST: Final = 50
"""Characters of a pool's name, so that the names of its workers are identifiers too."""

POOL_NAME: Final = rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}"

JOBS: Final = ("FLUX_JOB_ID", "FLUX_ENCLOSING_ID", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
"""Environment variables with the id of the job that a process belongs to, the innermost first: a Slurm job may hold a
Flux instance, which may hold further ones. The first program of an instance has only the second."""


class PoolNameRefused(ValueError):
    """A pool cannot have this name; the text says why."""


def worker_name(pool: str, number: int) -> str:
    """The name of a pool's worker. Workers of the main pool have no pool name in theirs."""
    return f"worker-{number}" if pool == MAIN else f"{pool}-worker-{number}"


def pool_of(worker: str) -> str:
    """The pool that a worker belongs to, by its name."""
    pool, found, _ = worker.rpartition("-worker-")
    return pool if found else MAIN


def refuse_pool_name(name: str) -> None:
    """Nothing when a pool that joins may have this name. Raises PoolNameRefused."""
    if not re.fullmatch(POOL_NAME, name):
        raise PoolNameRefused(
            f"--name: expected at most {LONGEST} letters, digits, dots, hyphens and underscores, got {name[:80]!r}"
        )
    if name == MAIN:
        raise PoolNameRefused(f"--name: {MAIN!r} is the pool that `moireloop run` starts itself; choose another name")


def usual_pool_name(host: str, environment: Mapping[str, str]) -> str:
    """The default name of a pool: its host and, in a scheduler's job, the job's id."""
    job = _cleaned(next((environment[name] for name in JOBS if environment.get(name)), ""))[: LONGEST // 2]
    place = _cleaned(host.partition(".")[0])[: LONGEST - len(job) - 1].strip("-._") or "pool"
    name = f"{place}-{job}" if job else place
    return f"{name}-pool" if name == MAIN else name


def _cleaned(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", word).strip("-._")
