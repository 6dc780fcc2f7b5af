"""Every Redis key of moireloop: name, type, writer and lifetime. No other module spells a key (pure).

All keys of a campaign begin with `moireloop:<campaign>:`, so that several campaigns share a server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

WORKERS_GROUP: Final = "workers"

ANALYZERS_GROUP: Final = "analyzers"

EVENT_FIELD: Final = b"e"

OBSERVATIONS_KEPT: Final = 100_000

OBSERVED_BYTES_KEPT: Final = 256 * 1024 * 1024

POINTS_KEPT: Final = 10_000

INSTRUCTIONS_KEPT_S: Final = 60


@dataclass(frozen=True)
class KeySpec:
    """One key or family of keys (`{id}` stands for a candidate's id, `{attempt}` and `{worker}` for theirs)."""

    name: str
    type: Literal["string", "hash", "stream", "zset", "list"]
    writer: str
    lifetime: str


KEYS: Final = (
    KeySpec("settings", "hash", "broker", "campaign; section -> JSON of its settings, as requests changed them"),
    KeySpec("identity", "hash", "conductor", "campaign; its id, its last session, and where that ran"),
    KeySpec(
        "state", "string", "conductor, control", "campaign; started, resumed, paused, draining, stopped, completed"
    ),
    KeySpec("log", "stream", "every state change", "campaign; the event log, without what is in the archive"),
    KeySpec(
        "archived", "list", "archiver", "campaign; the parts of the log that are files in the folder, oldest first"
    ),
    KeySpec("observations", "stream", "analyzers", f"the last {OBSERVATIONS_KEPT}, fewer of large ones"),
    KeySpec("series:{id}:{attempt}", "zset", "analyzers", f"campaign; the last {POINTS_KEPT} frames by step"),
    KeySpec("queue", "stream", "propose, fail", "an entry lives until its candidate is leased or cancelled"),
    KeySpec(
        "queue:again",
        "stream",
        "fail",
        "candidates that were given back or lost, taken before `queue`; an entry lives as long as there",
    ),
    KeySpec("leases", "zset", "lease, renew", "candidate -> expiry in ms; until the attempt ends"),
    KeySpec("takes", "hash", "begin", "worker -> its last take and the lease that it got; while the worker is known"),
    KeySpec("finals", "stream", "finish", "an entry lives until the candidate's result is in the log"),
    KeySpec("final:{id}", "string", "finish", "the final frame, until the candidate's result is in the log"),
    KeySpec("candidate:{id}", "hash", "state changes", "campaign; state of one candidate"),
    KeySpec("instructions:{worker}", "list", "end_early, cancel", f"wakes a worker; {INSTRUCTIONS_KEPT_S} s at most"),
    KeySpec("counts", "hash", "state changes", "campaign; how many candidates are in each state"),
    KeySpec("counters", "hash", "all services", "campaign; refused messages, dropped frames and the like"),
    KeySpec("workers", "hash", "workers", "campaign; worker -> what it does and time of its last report"),
    KeySpec("services", "hash", "conductor, broker", "campaign; service -> state"),
    KeySpec("heartbeats", "hash", "services", "service -> when and where it last said that it works; while it lives"),
    KeySpec(
        "pools", "hash", "pools", "pool -> where and how it keeps workers, and time of its last report; while it lives"
    ),
    KeySpec("endpoints", "hash", "analyzers", "analyzer -> frame endpoint, while the analyzer lives"),
    KeySpec("relay", "hash", "relay", "campaign; topic or stream -> last published id"),
    KeySpec("patterns", "hash", "control", "campaign; measured pattern -> digest of it and id of its event"),
)


class Keys:
    """The names of one campaign's keys."""

    def __init__(self, campaign: str) -> None:
        self.prefix = f"moireloop:{campaign}:"
        self.settings = self.prefix + "settings"
        self.identity = self.prefix + "identity"
        self.state = self.prefix + "state"
        self.log = self.prefix + "log"
        self.archived = self.prefix + "archived"
        self.observations = self.prefix + "observations"
        self.queue = self.prefix + "queue"
        self.queue_again = self.prefix + "queue:again"
        self.leases = self.prefix + "leases"
        self.takes = self.prefix + "takes"
        self.finals = self.prefix + "finals"
        self.counts = self.prefix + "counts"
        self.counters = self.prefix + "counters"
        self.workers = self.prefix + "workers"
        self.services = self.prefix + "services"
        self.heartbeats = self.prefix + "heartbeats"
        self.pools = self.prefix + "pools"
        self.endpoints = self.prefix + "endpoints"
        self.relay = self.prefix + "relay"
        self.patterns = self.prefix + "patterns"

    @property
    def queues(self) -> tuple[str, str]:
        """The two streams of candidates that wait for a worker, the one that is read first in front."""
        return self.queue_again, self.queue

    def candidate(self, candidate_id: str) -> str:
        """Hash with the state of one candidate."""
        return f"{self.prefix}candidate:{candidate_id}"

    def final_frame(self, candidate_id: str) -> str:
        """The final frame of a candidate whose result is not in the log yet."""
        return f"{self.prefix}final:{candidate_id}"

    @property
    def series_prefix(self) -> str:
        """What the keys of all series begin with."""
        return f"{self.prefix}series:"

    def series(self, candidate_id: str, attempt: int) -> str:
        """What the analyzers saw in the frames of one attempt."""
        return f"{self.series_prefix}{candidate_id}:{attempt}"

    def instructions(self, worker: str) -> str:
        """Word for a worker that it should look at once what was ordered."""
        return f"{self.prefix}instructions:{worker}"
