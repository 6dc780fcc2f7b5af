"""Results of known content, for the tests of tables, figures and progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from moireloop_broker.contract.events import Candidate, Measurement, Result, RunReport, StageTimes

MakeResult = Callable[..., Result]


def result(number: int, **fields: Any) -> Result:
    """A result: measured when `twist_deg` is given, else refused; every time can be set.

    Without `parameters` each number has its own. Fields: twist_deg, sigma_deg, outcome, parameters, seed, target_deg,
    worker, leased_s, finished_s, md_s, lattice_angstrom, steps, planned_steps, ended.
    """
    twist_deg = fields.get("twist_deg")
    outcome = fields.get("outcome", "refused" if twist_deg is None else "measured")
    leased_s = fields.get("leased_s", 100.0 + 2 * number)
    finished_s = fields.get("finished_s", leased_s + 2)
    lattice = fields.get("lattice_angstrom", 3.16)
    return Result(
        candidate=Candidate(
            candidate_id=f"c-{number:04d}",
            parameters=fields.get(
                "parameters", {"temperature_k": 2000.0, "lattice_strain": round(0.01 + number / 1e5, 9)}
            ),
            seed=fields.get("seed", number),
            target_deg=fields.get("target_deg"),
            strategy="qei",
            proposed_s=99.0,
        ),
        attempt=fields.get("attempt", 1),
        outcome=outcome,
        reason=None if outcome == "measured" else fields.get("reason", "upper layer is molten: |psi6| 0.21"),
        measurement=_measurement(outcome, twist_deg, fields.get("sigma_deg", 0.05), lattice),
        report=None if outcome == "failed" else _report(fields, leased_s, finished_s),
        times=StageTimes(
            proposed_s=99.0, queued_s=99.5, leased_s=leased_s, logged_s=fields.get("logged_s", finished_s)
        ),
    )


def _measurement(outcome: str, twist_deg: float | None, sigma_deg: float | None, lattice: float) -> Measurement | None:
    if outcome == "failed":
        return None
    if twist_deg is None:
        return Measurement(reason="upper layer is molten: |psi6| 0.21", order_lower=0.99, order_upper=0.21)
    return Measurement(
        twist_deg=twist_deg, signed_deg=-twist_deg, sigma_deg=sigma_deg, order_lower=0.99, order_upper=0.95,
        lattice_lower_angstrom=lattice, lattice_upper_angstrom=lattice,
    )  # fmt: skip


def _report(fields: dict[str, Any], leased_s: float, finished_s: float) -> RunReport:
    return RunReport(
        worker=fields.get("worker", "worker-1"), started_s=leased_s, finished_s=finished_s,
        steps=fields.get("steps", 20_000),
        md_s=fields.get("md_s", finished_s - leased_s), provenance={"lammps": "20250722"},
        ended=fields.get("ended", "completed"), planned_steps=fields.get("planned_steps", 20_000),
    )  # fmt: skip


@pytest.fixture
def make_result() -> MakeResult:
    """Makes results of known content."""
    return result
