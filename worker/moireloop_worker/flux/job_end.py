"""What the events of a Flux job say of the worker in it: whether it waits, and how it ended, without I/O (adapter).

An event is a mapping with `name` and `context`, as in the job's main event log (Flux RFC 21).
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from moireloop_broker.processes.exits import EXIT_NOT_ITS_FAULT, last_words
from moireloop_worker.launchers.launcher import Exit

Event = Mapping[str, Any]

EXIT_CANNOT_EXECUTE: Final = (126, 127)
"""Of the job shell where the worker's command cannot be executed or is not there."""

LOST_KINDS: Final = ("cancel", "timeout", "node-failure", "scheduler-restart", "preempt")
"""Exceptions that come from outside the worker."""

UNPLACED_KINDS: Final = ("alloc", "depend", "dependency", "validate", "prolog")
"""Exceptions by which a job never begins."""

NODE_GONE: Final = re.compile(r"node failure|lost contact|unkillable processes")

TASK_ENDED: Final = re.compile(r"task rank (\d+) on host (\S+) (?:failed|exited)")

SHELL_ENDED: Final = re.compile(r"shell rank (\d+) (?:on host (\S+) failed|\(on (\S+)\))")

OF_THE_SHELL: Final = re.compile(rb"^flux-shell\[\d+\]: FATAL: task-exit:.*\n?", re.MULTILINE)
"""What Flux's shell writes into the log when a rank ended, which adds nothing to the event."""


def is_waiting(events: Sequence[Event]) -> bool:
    """Whether the job has no place yet."""
    names = {event["name"] for event in events}
    return not names & {"alloc", "start", "finish", "clean"}


def exit_of_job(events: Sequence[Event], words: bytes, *, asked: bool) -> Exit | None:
    """How the worker in a job ended; None while it may run.

    A node that is gone ends it at once; what is left of it elsewhere may still be on its way out.

    Args:
        events: of the job so far, in their order.
        words: the end of the worker's log, of which the last words are quoted.
        asked: whether the worker was asked to end.
    """
    fatal = [event for event in events if event["name"] == "exception" and _is_fatal(event)]
    finish = next((event for event in events if event["name"] == "finish"), None)
    gone = next(filter(_is_of_a_node, fatal), None)
    if finish is None and gone is None and not any(event["name"] == "clean" for event in events):
        return None
    if asked:
        return Exit("stopped", "stopped on request")
    first = gone or (fatal[0] if fatal else None)
    if first is not None and (outside := _outside(first)) is not None:
        return outside
    if finish is None:
        return Exit("lost", "Flux only reports that the job of the worker is over")
    return _by_status(finish, first, words)


def _is_fatal(exception: Event) -> bool:
    return exception["context"].get("severity", 0) == 0 or _is_of_a_node(exception)


def _is_of_a_node(exception: Event) -> bool:
    kind = exception["context"].get("type")
    return kind == "node-failure" or (kind == "exec" and NODE_GONE.search(_note(exception)) is not None)


def _outside(exception: Event) -> Exit | None:
    """The end by an exception that is not the worker's own; None where the status says how it ended."""
    kind, note = exception["context"].get("type", ""), _note(exception)
    if kind in UNPLACED_KINDS:
        return Exit("cannot launch", f"Flux has no place for it: {note or kind}")
    if kind in LOST_KINDS or _is_of_a_node(exception):
        return Exit("lost", f"Flux: {kind}" + (f": {note}" if note else ""))
    return None


def _by_status(finish: Event, fatal: Event | None, words: bytes) -> Exit:
    """The end by wait status: of the rank that died first where Flux reports it, else the highest of all ranks."""
    note = _note(fatal)
    if "start failed" in note:
        return Exit("cannot launch", note)
    if (shell := SHELL_ENDED.search(note)) is not None:
        return Exit("signal", f"Flux's shell {shell[1]} of the worker died on {shell[2] or shell[3]}")
    first = fatal["context"].get("wait_status") if fatal is not None else None
    code = os.waitstatus_to_exitcode(int(finish["context"]["status"] if first is None else first))
    number = -code if code < 0 else code - 128
    who = _who(note) if fatal is not None else "Flux's shell of the worker" if code < 0 else "rank died"
    if number > 0:
        return Exit("signal", f"{who}: killed by {_signal_name(number)}")
    if code == 0:
        return Exit("stopped", "ended by itself")
    last = last_words(OF_THE_SHELL.sub(b"", words))
    reason = f"{who}: exit code {code}" + (f": {last}" if last else "")
    if code in EXIT_CANNOT_EXECUTE:
        return Exit("cannot launch", reason)
    return Exit("fault" if code == EXIT_NOT_ITS_FAULT else "error", reason)


def _who(note: str) -> str:
    match = TASK_ENDED.search(note)
    return f"rank {match[1]} died on {match[2]}" if match else "rank died"


def _note(exception: Event | None) -> str:
    return "" if exception is None else str(exception["context"].get("note", "")).strip()[:500]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
