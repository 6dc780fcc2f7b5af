"""The layout of a campaign's folder, and the lock that says which process runs the campaign (adapter)."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from moireloop_worker.restarts import remove_restart_files

FOLDER_MODE: Final = 0o700
LOCK_PATIENCE_S: Final = 0.2


class CampaignIsRunning(RuntimeError):
    """Another process runs the campaign of this folder; the text says which."""


@dataclass(frozen=True)
class Holder:
    """The process that holds, or last held, the lock of a folder."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class CampaignFolder:
    """Where everything of one campaign lies. Nothing is created before `create`."""

    root: Path

    @property
    def connection_file(self) -> Path:
        """Endpoints and keys of the running service set, mode 0600."""
        return self.root / "connection.json"

    @property
    def settings_file(self) -> Path:
        """The campaign's settings as its services are told them."""
        return self.root / "settings.json"

    @property
    def campaign_copy(self) -> Path:
        """The campaign file as it was when the campaign was last started or resumed."""
        return self.root / "campaign.toml"

    @property
    def lock_file(self) -> Path:
        """Locked by the process that runs the campaign."""
        return self.root / "lock"

    @property
    def services_lock(self) -> Path:
        """Locked as long as any service of a session lives, also past the process that runs the campaign."""
        return self.root / "services.lock"

    @property
    def redis(self) -> Path:
        """Append-only file and configuration of the campaign's own Redis."""
        return self.root / "redis"

    @property
    def runs(self) -> Path:
        """One folder per run."""
        return self.root / "runs"

    @property
    def prepared(self) -> Path:
        """Prepared systems, cached by content."""
        return self.root / "prepared"

    @property
    def script(self) -> Path:
        """The growth script that a campaign was started with, and the files that it names."""
        return self.root / "script"

    @property
    def strategy(self) -> Path:
        """The file of the user's own strategy, as it was when the campaign was last started or resumed."""
        return self.root / "strategy"

    @property
    def logs(self) -> Path:
        """One log file per service."""
        return self.root / "logs"

    @property
    def figures(self) -> Path:
        """The figures, as PNG."""
        return self.root / "figures"

    @property
    def regret_figure(self) -> Path:
        """Error of each result and the best so far."""
        return self.figures / "regret.png"

    @property
    def space_figure(self) -> Path:
        """The results in the search space."""
        return self.figures / "search_space.png"

    @property
    def trajectories_figure(self) -> Path:
        """Twist and order of all runs over time."""
        return self.figures / "trajectories.png"

    def bilayer_figure(self, candidate_id: str) -> Path:
        """The final structure of one candidate, seen from above."""
        return self.figures / f"bilayer-{candidate_id}.png"

    def run_figure(self, candidate_id: str) -> Path:
        """Twist, order and temperature of one candidate over time."""
        return self.figures / f"run-{candidate_id}.png"

    def structure_figure(self, candidate_id: str) -> Path:
        """Pair correlation and diffraction of the final structure of one candidate."""
        return self.figures / f"structure-{candidate_id}.png"

    def final_data(self, candidate_id: str, attempt: int) -> Path:
        """The structure that an attempt ended with, as a LAMMPS data file."""
        return self.runs / candidate_id / f"attempt-{attempt}" / "final.data"

    def forget_restart_files(self, candidate_id: str) -> None:
        """Remove the restart files that a candidate with a result has left, as one that was cancelled in the queue."""
        for attempt in (self.runs / candidate_id).glob("attempt-*"):
            remove_restart_files(attempt)

    @property
    def results_parquet(self) -> Path:
        """One row per candidate."""
        return self.root / "results.parquet"

    @property
    def results_csv(self) -> Path:
        """The same rows as text."""
        return self.root / "results.csv"

    @property
    def trajectories_parquet(self) -> Path:
        """One row per analysed frame of each run."""
        return self.root / "trajectories.parquet"

    @property
    def trajectories_csv(self) -> Path:
        """The same rows as text."""
        return self.root / "trajectories.csv"

    @property
    def analyses_parquet(self) -> Path:
        """One row per number, array or reason of each further analyzer."""
        return self.root / "analyses.parquet"

    def log_of(self, service: str) -> Path:
        """The log file of a service."""
        return self.logs / f"{service}.log"

    @property
    def own_names(self) -> frozenset[str]:
        """Names of everything that a campaign puts into its folder."""
        parts = (
            self.connection_file, self.settings_file, self.campaign_copy, self.lock_file, self.services_lock,
            self.redis, self.runs, self.prepared, self.script, self.strategy, self.logs, self.figures,
            self.results_parquet, self.results_csv, self.trajectories_parquet, self.trajectories_csv,
            self.analyses_parquet,
        )  # fmt: skip
        return frozenset(part.name for part in parts)

    @property
    def was_started(self) -> bool:
        """Whether a campaign was ever started in this folder."""
        return self.campaign_copy.exists()

    def create(self) -> None:
        """Make the folder and its parts, readable by the user alone; what is there stays."""
        for folder in (self.root, self.redis, self.runs, self.prepared, self.script, self.logs, self.figures):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        self.root.chmod(FOLDER_MODE)

    def clear(self) -> None:
        """Remove what an earlier campaign left: our own names and nothing else. The caller holds the lock.

        The copy of the campaign file goes last, so that a folder that was cleared in part is still a campaign's.
        """
        kept = (self.lock_file, self.campaign_copy)
        for name in sorted(self.own_names - {path.name for path in kept}):
            _remove(self.root / name)
        _remove(self.campaign_copy)

    def keep_campaign_file(self, text: str) -> None:
        """Keep the text of the campaign file in the folder, whole or not at all."""
        with replaced_whole(self.campaign_copy) as copy:
            copy.write_text(text, encoding="utf-8")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process, so that no second one runs the same campaign.

        The kernel gives the lock back when the process ends, however it ends. The folder must exist.

        Raises:
            CampaignIsRunning: another process holds it.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(descriptor)
            yield
        finally:
            os.close(descriptor)

    def refuse_if_held(self) -> None:
        """Nothing when nobody runs the campaign. Raises CampaignIsRunning."""
        if (holder := self.holder()) is not None:
            raise self._held_by(holder)

    def holder(self) -> Holder | None:
        """The process that runs the campaign now, or None when nobody does."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return None if _locks_within(descriptor, 0.0) else _read_holder(descriptor)
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        if not _locks_within(descriptor, LOCK_PATIENCE_S):
            raise self._held_by(_read_holder(descriptor))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)

    def _held_by(self, holder: Holder) -> CampaignIsRunning:
        return CampaignIsRunning(
            f"the campaign in {self.root} is being run by {holder}; stop it first, or watch it with `moireloop watch`"
        )


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write; it takes its place when the block ends well, and goes when it fails."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove a file or a folder; of a link, the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _locks_within(descriptor: int, patience_s: float) -> bool:
    """Take the lock; the patience outlasts somebody else's short look at who holds it."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _read_holder(descriptor: int) -> Holder:
    try:
        fields = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(int(fields["pid"]), str(fields["host"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "an unknown host")
