"""What srun says of a worker's step: whether it waits, whether a rank died, and how it ended, without I/O (adapter)."""

from __future__ import annotations

import re
import signal
from typing import Final

from moireloop_broker.processes.exits import EXIT_NOT_ITS_FAULT, last_words
from moireloop_worker.launchers.launcher import Exit, Kind

HAS_JOB: Final = re.compile(r"^srun: jobid \d+: nodes\(|step creation temporarily disabled", re.MULTILINE)

BEGUN: Final = re.compile(r"^srun: launching |_task_start: |Step created for", re.MULTILINE)

TELLING: Final = re.compile(r"error: |fatal: |aborted|Terminat|cancel|unrecognized", re.IGNORECASE)

NODE_GONE: Final = re.compile(r"Node failure on (\S+)")

CANCELLED: Final = re.compile(r"(?:STEP|JOB) \S+ ON (\S+) CANCELLED AT \S+(?: DUE TO ([A-Z][A-Z ]+))?")

TASK_ENDED: Final = re.compile(r"^srun: error: (\S+): tasks? (\S+): (?!Exited with exit code 0)(.+)$", re.MULTILINE)

ABORTED: Final = re.compile(r"^srun: (?:forcing job termination|Job step aborted)", re.MULTILINE)

JOB_GONE: Final = re.compile(
    r"already completing or completed|Invalid job id specified|has been revoked|Force Terminated job|"
    r"Job is no longer (?:pending|active)|Expired or invalid job(?! \d+\s*\Z)"
)

TIMED_OUT: Final = re.compile(r"timed out|Unable to contact|Connection refused|connect failure", re.IGNORECASE)

COMPLAINT: Final = re.compile(r"^(?:srun: (?:error|fatal): +|srun: (?=unrecognized|invalid))(.+)$", re.MULTILINE)

MPI_ABORT: Final = re.compile(r"^Abort\((\d+)\)", re.MULTILINE)
"""The last word of an MPI rank that ends its whole program."""

NOT_THERE: Final = re.compile(r"execve\(\): (.+)")

OF_SLURM: Final = re.compile(rb"^(?:slurmstepd|srun)[^\n]*\n?", re.MULTILINE)

SIGNALS: Final = {
    "Killed": signal.SIGKILL,
    "Segmentation fault": signal.SIGSEGV,
    "Bus error": signal.SIGBUS,
    "Aborted": signal.SIGABRT,
    "Terminated": signal.SIGTERM,
    "Illegal instruction": signal.SIGILL,
    "Floating point exception": signal.SIGFPE,
}


def is_waiting(said: str) -> bool:
    """Whether the step has no place yet."""
    return HAS_JOB.search(said) is not None and BEGUN.search(said) is None


def is_doomed(said: str) -> bool:
    """Whether a rank has died or a node is gone, so that the rest of the step is to be killed."""
    return NODE_GONE.search(said) is not None or TASK_ENDED.search(said) is not None


def telling(said: str) -> str:
    """The lines of what srun said that a person wants to see."""
    return "".join(f"{line}\n" for line in said.splitlines() if TELLING.search(line))


def exit_of_step(code: int, said: str, words: bytes, *, asked: bool) -> Exit:
    """How the worker in a step ended.

    Args:
        code: return code of srun, minus the number of a signal that killed it.
        said: what srun itself has said.
        words: the end of the worker's log, in which are the last words of its ranks and of slurmstepd.
        asked: whether the worker was asked to end.
    """
    if asked:
        return Exit("stopped", "stopped on request")
    text = words.decode(errors="replace")
    return _outside(said, text) or _unplaced(code, said, text) or _own(code, said, words)


def _outside(said: str, text: str) -> Exit | None:
    """The end by what is not the worker's own; None where it is, or where nothing of that kind was reported."""
    if (node := NODE_GONE.search(said)) is not None:
        return Exit("lost", f"Slurm: node failure on {node[1]}")
    cancelled = CANCELLED.search(text)
    if cancelled is not None and cancelled[2]:
        return Exit("lost", f"Slurm: cancelled on {cancelled[1]} due to {cancelled[2].strip().lower()}")
    if not _aborted_first(said) or MPI_ABORT.search(text) is not None:
        return None
    return Exit("lost", "Slurm: cancelled from outside")


def _aborted_first(said: str) -> bool:
    """Whether the step was ended before any rank was."""
    aborted, task = ABORTED.search(said), TASK_ENDED.search(said)
    return aborted is not None and (task is None or aborted.start() < task.start())


def _unplaced(code: int, said: str, text: str) -> Exit | None:
    """The end of a step that never began; None where it did."""
    if code <= 0:
        return None
    if (missing := NOT_THERE.search(text)) is not None:
        return Exit("cannot launch", f"Slurm cannot start the worker: {missing[1]}")
    complaints = [line for line in COMPLAINT.findall(said) if not TASK_ENDED.search(f"srun: error: {line}")]
    if TASK_ENDED.search(said) is not None or not complaints:
        return None
    if TIMED_OUT.search(said) is None and JOB_GONE.search(said) is not None:
        return Exit("lost", f"Slurm: the job is over: {complaints[0]}")
    return Exit("cannot launch", f"srun: {complaints[0]}")


def _own(code: int, said: str, words: bytes) -> Exit:
    if code < 0:
        return Exit("signal", f"the srun of its ranks was killed by {_signal_name(-code)}")
    task = TASK_ENDED.search(said)
    if task is None and code == 0:
        return Exit("stopped", "ended by itself")
    last = last_words(OF_SLURM.sub(b"", words))
    abort = MPI_ABORT.search(words.decode(errors="replace"))
    if abort is not None and _aborted_first(said):
        code, task = int(abort[1]), None
    if task is None:
        return _by_code("rank died", code, last)
    who, how = f"rank {task[2]} died on {task[1]}", task[3].strip()
    exited = re.match(r"Exited with exit code (\d+)", how)
    if exited is None:
        name = next((number.name for begin, number in SIGNALS.items() if how.startswith(begin)), None)
        return Exit("signal", f"{who}: " + (f"killed by {name}" if name else how.lower()))
    return _by_code(who, int(exited[1]), last)


def _by_code(who: str, code: int, last: str) -> Exit:
    kind: Kind = "fault" if code == EXIT_NOT_ITS_FAULT else "error"
    return Exit(kind, f"{who}: exit code {code}" + (f": {last}" if last else ""))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
