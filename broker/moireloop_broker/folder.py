"""The layout of a campaign's folder: where everything of one campaign lies (adapter)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from moireloop_broker.files import write_synced

FOLDER_MODE: Final = 0o700

Role = Literal["worker", "analyzer", "optimizer"]

ROLES: Final[tuple[Role, ...]] = ("worker", "analyzer", "optimizer")
"""Services that are given separate keys."""


@dataclass(frozen=True)
class CampaignFolder:
    """Where everything of one campaign lies. Nothing is created before `create`."""

    root: Path

    @property
    def connection_file(self) -> Path:
        """Endpoints and keys of the running service set, mode 0600."""
        return self.root / "connection.json"

    def connection_of(self, role: Role) -> Path:
        """Endpoints and keys for the services of one role only; mode 0600."""
        return self.root / f"connection-{role}.json"

    @property
    def settings_file(self) -> Path:
        """The campaign's settings as its services read them."""
        return self.root / "settings.json"

    @property
    def identity_file(self) -> Path:
        """The id of the campaign, and the marks of its last two sessions."""
        return self.root / "identity.json"

    @property
    def grants_file(self) -> Path:
        """Who else may follow or steer the campaign."""
        return self.root / "grants.json"

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
    def archive(self) -> Path:
        """Older events of the log, as Parquet files."""
        return self.root / "archive"

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

    @property
    def early_end_figure(self) -> Path:
        """How far early end can be trusted."""
        return self.figures / "early_end.png"

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

    @property
    def digest_file(self) -> Path:
        """The digest of a long campaign so far."""
        return self.root / "digest.msgpack"

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
            self.connection_file, self.settings_file, self.identity_file, self.grants_file, self.campaign_copy,
            self.lock_file, self.services_lock, self.redis, self.archive, self.runs, self.prepared, self.script,
            self.strategy, self.logs, self.figures, self.results_parquet, self.results_csv, self.trajectories_parquet,
            self.trajectories_csv, self.analyses_parquet, self.digest_file, *map(self.connection_of, ROLES),
        )  # fmt: skip
        return frozenset(part.name for part in parts)

    @property
    def was_started(self) -> bool:
        """Whether a campaign was ever started in this folder."""
        return self.campaign_copy.exists()

    def create(self) -> None:
        """Make the folder and its parts, readable only by the user; what is there stays."""
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
        write_synced(self.campaign_copy, text)


def _remove(path: Path) -> None:
    """Remove a file or a folder; of a link, only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
