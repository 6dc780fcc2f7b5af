"""ZeroMQ's own threads, and who goes first where they share a core with the work of their process (adapter)."""

from __future__ import annotations

import os

import zmq


def let_work_go_first(context: zmq.Context[zmq.Socket[bytes]] | None = None) -> bool:
    """Keep the threads of a context, which has no socket yet, from pushing a computation off its core when they wake.

    A worker that is pinned to a core has ZeroMQ's thread there as well. Woken for each frame, it took the core at once;
    as a batch thread it waits for its turn, which is milliseconds. Returns whether the system allows it.
    """
    if not hasattr(os, "SCHED_BATCH") or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    ordinary = os.sched_param(0)
    try:  # tried first on this thread: libzmq aborts the process where it is refused
        os.sched_setscheduler(0, os.SCHED_BATCH, ordinary)
        os.sched_setscheduler(0, os.SCHED_OTHER, ordinary)
    except OSError:
        return False
    (context or zmq.Context.instance()).set(zmq.THREAD_SCHED_POLICY, os.SCHED_BATCH)
    return True
