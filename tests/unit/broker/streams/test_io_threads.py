"""Who goes first where ZeroMQ's threads share a core with a computation."""

from __future__ import annotations

import os
from pathlib import Path

import zmq

from moireloop_broker.streams.io_threads import let_work_go_first
from tests.helpers.waiting import wait_until


def test_threads_of_a_context_are_batch_threads() -> None:
    """All that ZeroMQ starts for it, and not the thread that asked."""
    before = {int(task.name) for task in Path("/proc/self/task").iterdir()}
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        assert let_work_go_first(context)
        with context.socket(zmq.PUSH):
            started = {int(task.name) for task in Path("/proc/self/task").iterdir()} - before
            assert started
            wait_until(
                lambda: {os.sched_getscheduler(thread) for thread in started} == {os.SCHED_BATCH},
                "they are batch threads",
            )
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
    finally:
        context.term()
