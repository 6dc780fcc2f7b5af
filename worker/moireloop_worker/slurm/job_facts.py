"""What Slurm's commands say of a job, read: its nodes with their CPUs and GPUs, and when it ends (pure)."""

from __future__ import annotations

import re
from typing import Final

from moireloop_worker.launchers.allocation import Allocation, Node

NODES: Final = re.compile(r"\bNodes=(\S+) CPU_IDs=(\S*) Mem=\S* GRES=(\S*)")

GPUS: Final = re.compile(r"\bgpu(?::[^:,(]+)?:(\d+)")

MOST_NODES: Final = 100_000


def allocation_of(said: str) -> Allocation | None:
    """The allocation of a running job, from `scontrol --details show job`; None where it holds no node."""
    job, state = _field(said, "JobId"), _field(said, "JobState")
    if state not in ("RUNNING", "COMPLETING", "SUSPENDED") or not (parts := NODES.findall(said)):
        return None
    nodes = {name: _node(name, cpus, gres) for names, cpus, gres in parts for name in expanded(names)}
    first = _field(said, "BatchHost")
    return Allocation(f"Slurm job {job}", tuple(sorted(nodes.values(), key=lambda node: node.name != first)))


def state_of(said: str) -> str:
    """The state of a job, from `scontrol show job`."""
    return _field(said, "JobState")


def end_of(said: str) -> float | None:
    """When a job ends, from `squeue -o %e` with times as seconds since the epoch; None without an end."""
    word = said.strip()
    return float(word) if re.fullmatch(r"\d{1,12}", word) else None


def steps_of(said: str, prefix: str) -> list[str]:
    """Ids of the steps whose names begin so, from `squeue --steps -o "%i %j"`."""
    pairs = (line.split(maxsplit=1) for line in said.splitlines())
    return [pair[0] for pair in pairs if len(pair) == 2 and pair[1].startswith(prefix)]


def expanded(names: str) -> list[str]:
    """The names that a host list of Slurm's stands for: "n[08-10,12],m1" is n08, n09, n10, n12 and m1.

    Raises:
        ValueError: a bracket is not closed, or there are more than MOST_NODES names.
    """
    names_of_nodes = [name for part in _split(names) for name in _expanded_part(part)]
    if len(names_of_nodes) > MOST_NODES:
        raise ValueError(f"expected at most {MOST_NODES} nodes, got {len(names_of_nodes)}")
    return names_of_nodes


def _split(names: str) -> list[str]:
    """The parts of a host list; commas in brackets part no names."""
    if names.count("[") != names.count("]"):
        raise ValueError(f"expected a list of nodes, got {names[:200]!r}")
    return re.findall(r"(?:\[[^\]]*\]|[^,\[])+", names)


def _expanded_part(part: str) -> list[str]:
    match = re.search(r"\[([^\]]*)\]", part)
    if match is None:
        return [part]
    before, after = part[: match.start()], _expanded_part(part[match.end() :])
    return [f"{before}{number}{rest}" for number in _numbers(match[1]) for rest in after]


def _numbers(ranges: str) -> list[str]:
    numbers: list[str] = []
    for one in ranges.split(","):
        first, _, last = one.partition("-")
        if not last:
            numbers.append(first)
        elif int(last) - int(first) < MOST_NODES:
            numbers += [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        else:
            raise ValueError(f"expected at most {MOST_NODES} nodes, got {ranges[:200]!r}")
    return numbers


def _node(name: str, cpus: str, gres: str) -> Node:
    return Node(name, len(_numbers(cpus)) if cpus else 0, sum(int(number) for number in GPUS.findall(gres)))


def _field(said: str, name: str) -> str:
    match = re.search(rf"\b{name}=(\S+)", said)
    return match[1] if match else ""
