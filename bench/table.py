"""Rows of the benchmark's table and their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One measured number, its goal and the raw baseline measured in the same run."""

    name: str
    value: float
    unit: str
    goal: float
    sense: Literal["at least", "at most"]
    baseline: str = ""

    @property
    def reached(self) -> bool:
        """Whether the number is on the right side of its goal."""
        return self.value >= self.goal if self.sense == "at least" else self.value <= self.goal


def show(rows: list[Row], console: Console) -> None:
    """Print the table."""
    table = Table(title="moireloop bench", title_justify="left")
    for heading in ("what", "measured", "goal", "", "raw baseline in this run"):
        table.add_column(heading)
    for row in rows:
        verdict = "[green]reached[/]" if row.reached else "[red]missed[/]"
        goal = f"{row.sense} {row.goal:g} {row.unit}"
        table.add_row(row.name, f"{row.value:.4g} {row.unit}", goal, verdict, row.baseline)
    console.print(table)
