"""Wires one worker together from a connection file and the campaign's settings (main)."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import redis
from mpi4py import MPI

from moireloop_broker.connection import Connection, NoConnectionFile, read_connection
from moireloop_broker.contract.control import RESTARTS_PASSED_OVER
from moireloop_broker.contract.pool_names import pool_of
from moireloop_broker.membership.abandonment import Abandonment
from moireloop_broker.membership.pools import pools_of
from moireloop_broker.processes.exits import EXIT_DIED, EXIT_NOT_ITS_FAULT
from moireloop_broker.processes.service_loop import StopSignal, log_to_stderr
from moireloop_broker.settings import EarlyEndPresence, FrameSettings
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.instructions import Instructions
from moireloop_broker.state.settings_store import read_settings
from moireloop_broker.state.work_queue.attempts import AttemptLimits
from moireloop_broker.state.work_queue.leases import Lease, Leases
from moireloop_broker.streams.io_threads import let_work_go_first
from moireloop_worker.lammps.engine import Engine
from moireloop_worker.lammps.library import LibraryUnusable
from moireloop_worker.launchers.last_runs import LastRuns
from moireloop_worker.launchers.segment_names import remove_segment_names
from moireloop_worker.launchers.walltime import Walltime
from moireloop_worker.models import growth_model, growth_settings
from moireloop_worker.models.growth_model import GrowthModel, Selection
from moireloop_worker.run.evaluation import Evaluator
from moireloop_worker.run.faults import is_infrastructure, lammps_blames_the_system
from moireloop_worker.run.frame_outlet import FrameOutlet
from moireloop_worker.run.leader import Leader, follow
from moireloop_worker.run.lease_keeper import LeaseKeeper, renewal_period_s
from moireloop_worker.settings import LammpsSettings, PoolSettings

log = logging.getLogger(__name__)

NOT_ONE_PROGRAM: Final = (
    "worker %s: expected %d MPI ranks, got %d: the launcher and this MPI library do not speak the same PMI "
    "(MPICH needs srun --mpi=pmi2, or a build for the site's MPI)"
)


def open_leases(connection: Connection, pool: PoolSettings) -> Leases:
    """The leases of a worker, over a separate Redis connection."""
    limits = AttemptLimits(max_attempts=pool.max_attempts)
    return Leases(connection.open_redis(alone=True), connection.keys, lease_s=pool.lease_s, limits=limits)


def selection_of(frames: FrameSettings, model: GrowthModel) -> Selection:
    """The atoms in frames."""
    return Selection(model.lattice_types if frames.atoms == "lattice" else (), frames.part_atoms)


class LoneErrors:
    """Reports the error of one rank while the others are stuck, right before the worker is aborted."""

    def __init__(self, open_leases: Callable[[], Leases]) -> None:
        self._open_leases = open_leases
        self._lease: Lease | None = None

    def hold(self, lease: Lease) -> None:
        """What this rank works at from now on."""
        self._lease = lease

    def report(self, message: str) -> None:
        """Fail the present candidate with LAMMPS's message, uncharged where that blames the system."""
        if self._lease is not None:
            own = not lammps_blames_the_system(message)
            self._open_leases().fail(self._lease, message, charged=own, counted=own)


class Worker:
    """All that one rank of a worker has: settings, engine, and on rank 0 the leader.

    It changes into the campaign's folder. LAMMPS accepts no path with a quote, a star or a letter beyond ASCII, so it
    is given only paths within that folder.
    """

    def __init__(
        self, communicator: MPI.Intracomm, connection: Connection, name: str, ends_s: float | None = None
    ) -> None:
        client, keys = connection.open_redis(), connection.keys
        self.comm = communicator
        self.name = name
        self.ends_s = ends_s
        self.connection = connection
        settings = read_settings(client, keys)
        self.pool = settings.section("workers", PoolSettings)
        self.may_end_early = settings.section("early_end", EarlyEndPresence).is_on
        frames = settings.section("frames", FrameSettings)
        model = growth_model(settings.parsed("growth", growth_settings))
        self.lone_errors = LoneErrors(lambda: open_leases(connection, self.pool))
        self.lammps = settings.section("lammps", LammpsSettings)
        engine = Engine(
            communicator,
            on_lone_error=self.lone_errors.report,
            library=None if self.lammps.library is None else str(self.lammps.library),
            arguments=self.lammps.arguments,
        )
        os.chdir(connection.folder)
        selection = selection_of(frames, model)
        every_steps, restart_s = frames.every_steps, self.pool.restart_s
        self.evaluator = Evaluator(
            communicator, engine, model, Path(), every_steps, restart_s, selection, self._restart_passed_over,
            self.pool.scratch,
        )  # fmt: skip
        first = communicator.rank == 0
        whole = connection.open_frame_publisher() if first else None
        self.outlet = FrameOutlet(communicator, whole, connection.open_part_sender(chooses=first))

    def leader(self, stopping: Callable[[], bool]) -> Leader:
        """Rank 0's part."""
        period_s = renewal_period_s(self.pool.lease_s, self.pool.number)
        leases = open_leases(self.connection, self.pool)
        instructions = Instructions(self.connection.open_redis(), self.connection.keys)
        keeper = LeaseKeeper(
            self.name,
            open_leases(self.connection, self.pool),
            instructions,
            period_s,
            self.pool.stall_s,
            self.outlet.look_up,
            self.ends_s,
        )
        return Leader(
            self.comm,
            self.name,
            self.evaluator,
            leases,
            keeper,
            self.outlet,
            stopping,
            self.provenance(),
            self.lone_errors.hold,
            self.may_end_early,
            self.last_runs(),
        )

    def last_runs(self) -> LastRuns:
        """Whether a run without restart files is worth starting, given the end that the pool knows."""
        client, keys, pool = self.connection.open_redis(), self.connection.keys, pool_of(self.name)

        def ends_s() -> float | None:
            said = pools_of(client, keys).get(pool)
            return None if said is None else said.ends_s

        return LastRuns(Walltime(self.pool.reserve_s, time.time(), self.ends_s), ends_s)

    def _restart_passed_over(self, reason: str) -> None:
        """Count it, for whoever watches the campaign. If Redis is away, only the count is lost."""
        state = CampaignState(self.connection.open_redis(), self.connection.keys, self.connection.campaign)
        try:
            state.count({RESTARTS_PASSED_OVER + reason: 1})
        except redis.RedisError as error:
            log.warning("skipped restart file not counted reason=%s error=%s", reason, error)

    def provenance(self) -> dict[str, str]:
        """What is the same for all runs of this worker."""
        lammps = {
            "lammps_library": str(self.lammps.library or ""),
            "lammps_arguments": " ".join(self.lammps.arguments),
        }
        return {
            **{name: value for name, value in lammps.items() if value},
            "model": self.evaluator.model.name,
            "lammps_version": str(self.evaluator.engine.version),
            "force_field_sha256": self.evaluator.force_field_sha256,
            "moireloop_version": version("moireloop"),
            "host": socket.gethostname(),
            "ranks": str(self.comm.size),
        }


def main(arguments: Sequence[str]) -> int:
    """Run one rank of a worker until SIGTERM; returns its exit code."""
    parser = argparse.ArgumentParser(prog="moireloop_worker")
    parser.add_argument("--connection", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--ranks", type=int, default=None, help="expected number of ranks; checked")
    parser.add_argument("--ends-s", type=float, default=None, help="when the allocation ends, seconds since the epoch")
    chosen = parser.parse_args(arguments)
    log_to_stderr()
    stop = StopSignal(signal.SIGUSR1)
    let_work_go_first()
    if chosen.ranks not in (None, MPI.COMM_WORLD.size):
        log.critical(NOT_ONE_PROGRAM, chosen.name, chosen.ranks, MPI.COMM_WORLD.size)
        return EXIT_DIED
    try:
        remove_segment_names(MPI.COMM_WORLD)
        worker = Worker(MPI.COMM_WORLD, read_connection(chosen.connection), chosen.name, chosen.ends_s)
        if worker.comm.rank != 0:
            follow(worker.comm, worker.evaluator, worker.outlet, worker.lone_errors.hold)
            return 0
        _lead(worker, stop)
    except redis.RedisError as error:
        log.critical("worker ends, redis does not respond name=%s error=%s", chosen.name, " ".join(str(error).split()))
        return EXIT_NOT_ITS_FAULT
    except Exception as error:
        log.exception("worker died name=%s rank=%d", chosen.name, MPI.COMM_WORLD.rank)
        return EXIT_NOT_ITS_FAULT if _is_foreign(error) else EXIT_DIED
    return 0


def _is_foreign(error: Exception) -> bool:
    """Whether what ended the worker lies under it. A wrong command line, which names no connection, does not."""
    if isinstance(error, NoConnectionFile):
        return False
    return isinstance(error, LibraryUnusable) or is_infrastructure(error)


def _lead(worker: Worker, stop: StopSignal) -> None:
    leader = worker.leader(lambda: bool(stop))
    abandonment = Abandonment(worker.connection, worker.name, worker.pool.lease_s)
    leader.announce()
    log.info("worker started name=%s ranks=%d", worker.name, worker.comm.size)
    while not stop:
        leader.step()
    leader.close()
    abandonment.close()
    log.info("worker stopped name=%s", worker.name)
