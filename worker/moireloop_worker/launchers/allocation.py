"""What an allocation has, and how many workers of one shape fit into it (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """One node of an allocation, and what of it may be used. `gpus` is None where the number is unknown."""

    name: str
    cores: int
    gpus: int | None = None


@dataclass(frozen=True)
class Allocation:
    """The nodes on which workers may run. `name` is what the scheduler calls it, such as "Slurm job 17"."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def shown(self) -> str:
        """The allocation in words: "Slurm job 17: 2 nodes of 64 cores and 8 GPUs"."""
        kinds = dict.fromkeys((node.cores, node.gpus) for node in self.nodes)
        return f"{self.name}: {', '.join(self._nodes_of(*kind) for kind in kinds) or 'no nodes'}"

    def _nodes_of(self, cores: int, gpus: int | None) -> str:
        number = sum((node.cores, node.gpus) == (cores, gpus) for node in self.nodes)
        words = f"{number} node{'s' * (number > 1)} of {cores} core{'s' * (cores != 1)}"
        return words + (f" and {gpus} GPU{'s' * (gpus != 1)}" if gpus else "")


@dataclass(frozen=True)
class Shape:
    """How wide one worker is: its nodes, its ranks, and the cores and GPUs of each rank."""

    ranks: int
    cores: int = 1
    gpus: int = 0
    nodes: int = 1

    @property
    def shown(self) -> str:
        """The shape in words: "2 ranks on 2 nodes, each rank with 1 core"."""
        words = f"{self.ranks} rank{'s' * (self.ranks > 1)} on {self.nodes} node{'s' * (self.nodes > 1)}"
        words += f", each rank with {self.cores} core{'s' * (self.cores > 1)}"
        return words + (f" and {self.gpus} GPU{'s' * (self.gpus > 1)}" if self.gpus else "")


def places(allocation: Allocation, shape: Shape, reserved: int = 0) -> int:
    """How many workers of this shape fit beside each other.

    Args:
        reserved: cores of the first node that are kept for something else.
    """
    room = [_ranks_on(node, shape, reserved if first else 0) for first, node in _marked(allocation.nodes)]
    parts = [ranks // -(-shape.ranks // shape.nodes) for ranks in room]
    low, high = 0, sum(parts) // shape.nodes
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(part, middle) for part in parts) >= middle * shape.nodes:
            low = middle
        else:
            high = middle - 1
    return low


def why_too_many(allocation: Allocation, shape: Shape, count: int) -> tuple[str, str] | None:
    """The key of [workers] that asks for more than there is, and what is wrong with it; None where all workers fit."""
    room = places(allocation, shape)
    if count <= room:
        return None
    text = f"expected what fits into {allocation.shown}, got {count} x {shape.shown}; {room or 'none'} of them fit"
    if room:
        return "count", text if room > 1 else f"{text}s"
    if shape.gpus and places(allocation, Shape(shape.ranks, shape.cores, 0, shape.nodes)):
        return "gpus", text
    if shape.nodes > len(allocation.nodes):
        return "nodes", text
    return "ranks", text


def _marked(nodes: Sequence[Node]) -> list[tuple[bool, Node]]:
    return [(index == 0, node) for index, node in enumerate(nodes)]


def _ranks_on(node: Node, shape: Shape, reserved: int) -> int:
    by_cores = max(0, node.cores - reserved) // shape.cores
    if not shape.gpus or node.gpus is None:
        return by_cores
    return min(by_cores, node.gpus // shape.gpus)
