"""Quantities derived from results, and how well the workers were used (pure)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target, regret_deg


@dataclass(frozen=True)
class Utilisation:
    """Time that workers spent inside LAMMPS, and their available wall time, in seconds."""

    md_s: float
    wall_s: float

    @property
    def fraction(self) -> float | None:
        """md_s / wall_s, or None before any run has ended."""
        return self.md_s / self.wall_s if self.wall_s > 0 else None


def regret_of(result: Result, target: Target) -> float | None:
    """Distance of the final twist from a target, in degrees; None where there is no twist."""
    return None if result.twist_deg is None else regret_deg(result.twist_deg, target)


def nearest_target(result: Result, targets: Sequence[Target]) -> Target | None:
    """The target that the result came nearest to; None without a twist or targets."""
    twist = result.twist_deg
    if twist is None:
        return None
    return min(targets, key=lambda target: regret_deg(twist, target), default=None)


class WorkerTimes:
    """When workers worked, and how long inside LAMMPS, result after result; some 30 bytes of it.

    Only runs that reached their end have a report; an attempt that died counts as idle time between its neighbours.
    """

    def __init__(self) -> None:
        self._md_s = 0.0
        self._numbers: dict[str, int] = {}
        self._worker = array("l")
        self._begin_s = array("d")
        self._end_s = array("d")

    def add(self, result: Result) -> None:
        """Take in the next result."""
        report = result.report
        if report is None:
            return
        begin_s = result.times.leased_s if result.times.leased_s is not None else report.started_s
        self._worker.append(self._numbers.setdefault(report.worker, len(self._numbers)))
        self._begin_s.append(begin_s)
        self._end_s.append(max(report.finished_s, begin_s))
        self._md_s += report.md_s

    def utilisation(self, resumed_at_s: Sequence[float] = ()) -> Utilisation:
        """Time inside LAMMPS over wall time, as the function of this name has it."""
        spans: dict[tuple[int, int], tuple[float, float]] = {}
        for worker, begin_s, end_s in zip(self._worker, self._begin_s, self._end_s, strict=True):
            session = sum(begin_s >= resumed_s for resumed_s in resumed_at_s) if resumed_at_s else 0
            first_s, last_s = spans.get((worker, session), (begin_s, end_s))
            spans[worker, session] = (min(first_s, begin_s), max(last_s, end_s))
        return Utilisation(self._md_s, sum(last_s - first_s for first_s, last_s in spans.values()))


def utilisation(results: Iterable[Result], resumed_at_s: Sequence[float] = ()) -> Utilisation:
    """Time inside LAMMPS over wall time, summed over workers.

    A worker's wall time runs from its first lease to the end of its last; a pause between two sessions of
    the campaign, given by the times at which it was resumed, is not counted.

    Args:
        results: in any order.
        resumed_at_s: seconds since the epoch at which the campaign was resumed.
    """
    times = WorkerTimes()
    for result in results:
        times.add(result)
    return times.utilisation(resumed_at_s)


def wavelength_angstrom(result: Result) -> float | None:
    """Moire wavelength of the final bilayer in angstrom; None without a twist, or where it is infinite."""
    measured = result.measurement
    if measured is None or measured.twist_deg is None:
        return None
    lower, upper = measured.lattice_lower_angstrom, measured.lattice_upper_angstrom
    if lower is None or upper is None:
        return None
    from moireloop_analyzer.geometry.moire import moire_wavelength  # `moireloop watch` runs without numpy

    return moire_wavelength(measured.twist_deg, lower, upper)


def parameter_names(results: Iterable[Result]) -> list[str]:
    """Names of all growth parameters, in the order in which they first appear."""
    return list(dict.fromkeys(name for result in results for name in result.candidate.parameters))


def best_result(results: Iterable[Result], target: Target | float) -> Result | None:
    """The measured result nearest to a target, the earliest of equals; None where nothing was measured.

    Args:
        target: a target, or a twist in degrees.
    """
    wanted_deg = target.twist_deg if isinstance(target, Target) else float(target)
    measured = [(abs(result.twist_deg - wanted_deg), result) for result in results if result.twist_deg is not None]
    return min(measured, key=lambda pair: pair[0])[1] if measured else None
