"""`python -m moireloop_broker.archiving KEPT < CONNECTION`: moves what is due, or says why not (main)."""

from __future__ import annotations

import contextlib
import sys

import redis

from moireloop_broker.archive.parts import ArchiveLost
from moireloop_broker.archiving.archiver import Archiver, reason_of
from moireloop_broker.connection import Connection
from moireloop_broker.processes.exits import leave
from moireloop_broker.processes.service_loop import log_to_stderr


def run(kept: int, connection: Connection) -> int:
    """Archive until nothing is due; returns the exit code."""
    with contextlib.closing(connection.open_redis()) as client:
        archiver = Archiver(client, connection.keys, connection.archive, kept=kept, rewrites=connection.private_redis)
        try:
            for _ in archiver.steps():
                pass
        except (OSError, ArchiveLost, redis.RedisError, ModuleNotFoundError) as error:
            sys.stdout.write(reason_of(error))
            return 1
    return 0


if __name__ == "__main__":
    log_to_stderr()
    leave(run(int(sys.argv[1]), Connection.model_validate_json(sys.stdin.buffer.read())))
