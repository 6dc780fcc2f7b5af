"""Digest of a long campaign, kept in its folder, so that a look reads only what came since (adapter).

The conductor writes it now and then, and at the end with the status that the session leaves. Nothing depends on it: a
digest that is gone, old or damaged, or belongs to another campaign, leaves the log to be read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import msgpack

from moireloop.results.best import Best
from moireloop.results.early_ends import EarlyEnds
from moireloop.results.summary import Summary
from moireloop.session.history import History
from moireloop_broker.contract.codec import pack, unpack_as
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import Result, RunFailed, ServiceChanged
from moireloop_broker.contract.search import Target
from moireloop_broker.contract.steered import Steered
from moireloop_broker.files import replaced_whole
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.identity import read_identity
from moireloop_broker.service.stored_redis import data_mark

VERSION: Final = 1

LEAST_RESULTS: Final = 1000
"""With fewer results the log is read: that is as quick."""

EVERY_S: Final = 5.0

RESULTS_KEPT: Final = 64
"""The newest results, from which the pace is taken."""


@dataclass(frozen=True)
class Digest:
    """A campaign up to the log's entry `last_id`; its history has only the newest results, and a summary of all.

    `status` is the last status of a session that ended by itself; `mark` identifies the data that it left. Both may be
    missing.
    """

    last_id: str
    history: History
    status: Status | None = None
    mark: str = ""

    def is_whole(self, folder: CampaignFolder) -> bool:
        """Whether nothing has come since: the private server's data are still the data that were digested."""
        return self.status is not None and self.mark != "" and self.mark == data_mark(folder.redis)


def digest_of(last_id: str, history: History, summary: Summary) -> Digest:
    """What to keep of a campaign."""
    kept = replace(history, results=history.results[-RESULTS_KEPT:], withheld={}, passed_over={}, summary=summary)
    return Digest(last_id, kept)


def write_digest(folder: CampaignFolder, digest: Digest) -> None:
    """Keep a digest, whole or not at all. Raises OSError."""
    identity = read_identity(folder.root)
    plain = {
        "version": VERSION,
        "campaign": identity.id if identity else "",
        "last_id": digest.last_id,
        "history": _plain_history(digest.history),
        "status": None if digest.status is None else pack(digest.status),
        "mark": digest.mark,
    }
    with replaced_whole(folder.digest_file) as path:
        path.write_bytes(msgpack.packb(plain))


def read_digest(folder: CampaignFolder) -> Digest | None:
    """The digest of the campaign in this folder; None where there is none that can be read."""
    try:
        plain = msgpack.unpackb(folder.digest_file.read_bytes())
        identity = read_identity(folder.root)
        if plain["version"] != VERSION or identity is None or plain["campaign"] != identity.id:
            return None
        status = None if plain["status"] is None else unpack_as(Status, plain["status"])
        return Digest(plain["last_id"], _history(plain["history"]), status, plain["mark"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, msgpack.UnpackException):
        return None


def _plain_history(history: History) -> dict[str, Any]:
    crash, summary, steered = history.last_crash, history.summary, history.steered
    if summary is None:
        raise ValueError("expected a history with its summary")
    return {
        "results": [pack(result) for result in history.results],
        "session_starts_s": history.session_starts_s,
        "drained_for": history.drained_for,
        "last_crash": None if crash is None else pack(crash),
        "last_failures": [pack(failed) for failed in history.last_failures],
        "steered": {
            **asdict(replace(steered, targets=None)),
            "targets": None if steered.targets is None else [target.model_dump() for target in steered.targets],
        },
        "outcomes": dict(history.outcomes),
        "counted_outside": history.counted_outside,
        "best": [(target.model_dump(), None if best is None else asdict(best)) for target, best in summary.best],
        "utilisation": summary.utilisation,
        "early": None if summary.early is None else asdict(summary.early),
        "failed_analyses": summary.failed_analyses,
    }


def _history(plain: dict[str, Any]) -> History:
    steered, early = plain["steered"], plain["early"]
    targets = None if steered["targets"] is None else tuple(Target.model_validate(one) for one in steered["targets"])
    return History(
        results=[unpack_as(Result, packed) for packed in plain["results"]],
        session_starts_s=plain["session_starts_s"],
        drained_for=plain["drained_for"],
        last_crash=None if plain["last_crash"] is None else unpack_as(ServiceChanged, plain["last_crash"]),
        last_failures=[unpack_as(RunFailed, packed) for packed in plain["last_failures"]],
        steered=Steered(**{**steered, "targets": targets}),
        outcomes=Counter(plain["outcomes"]),
        counted_outside=plain["counted_outside"],
        summary=Summary(
            best=tuple(
                (Target.model_validate(one), None if best is None else Best(**best)) for one, best in plain["best"]
            ),
            utilisation=plain["utilisation"],
            early=None if early is None else EarlyEnds(**early),
            failed_analyses=tuple(plain["failed_analyses"]),
        ),
    )
