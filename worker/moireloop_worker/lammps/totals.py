"""Totals of the system as LAMMPS tallies them: temperature, pressure and energies (adapter).

Pressure and energies are only there at steps for which they were ordered before the forces are computed. A
`fix ave/time` orders them at each multiple of an interval and takes them at the very end of the step.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, Final, NamedTuple

from moireloop_worker.lammps.library import library_function

FRAMES_FIX: Final = "moireloop_totals"

END_FIX: Final = "moireloop_end"

KINETIC: Final = "moireloop_kinetic"

GLOBAL: Final = 0

VECTOR: Final = 1

NUMBERS: Final = 4

ATMOSPHERE_BAR: Final = 1.01325

KCAL_MOL_EV: Final = 4184.0 / (6.02214076e23 * 1.602176634e-19)
"""One thermochemical kilocalorie (4184 J) a mole in electronvolts; Avogadro constant and elementary charge are exact
in the SI since 2019 (CODATA 2018). Likewise a standard atmosphere is 101325 Pa."""

UNITS: Final[dict[str, tuple[float, float]]] = {"metal": (1.0, 1.0), "real": (ATMOSPHERE_BAR, KCAL_MOL_EV)}
"""LAMMPS unit style -> bar in its unit of pressure, eV in its unit of energy."""


UNKNOWN: Final = (math.nan, math.nan)


class NotANumber(ArithmeticError):
    """The potential energy is NaN or infinite: there is nothing left to simulate."""


class Totals(NamedTuple):
    """Totals of one instant: kelvin, bar, eV; None where the unit style is not known, or the number not finite."""

    temperature_k: float | None = None
    pressure_bar: float | None = None
    potential_ev: float | None = None
    kinetic_ev: float | None = None


class TotalsReader:
    """Orders and reads the totals of one LAMMPS instance. All ranks get the same numbers."""

    def __init__(self, instance: Any) -> None:
        self._handle: Any = instance.lmp
        self._instance = instance
        self._extract = library_function(
            instance.lib, "lammps_extract_fix", ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_int] * 4
        )
        self._in_bar_and_ev = UNKNOWN
        self._free: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(("lammps_free", instance.lib))

    def commands(self, every_steps: int) -> tuple[str, ...]:
        """LAMMPS commands that order the totals at each multiple of `every_steps`; 0 for the end only.

        Called when the units of the run are set, which do not change from then on.
        """
        self._in_bar_and_ev = UNITS.get(self._instance.units(), UNKNOWN)
        kinetic = f"compute {KINETIC} all ke"
        return (kinetic, _order(FRAMES_FIX, every_steps)) if every_steps else (kinetic,)

    def end_commands(self) -> tuple[str, ...]:
        """LAMMPS commands that order the totals of the present instant; a `run 0` and `read_end` follow."""
        return (_order(END_FIX, 1),)

    def read(self, step: int) -> Totals:
        """The totals of the last multiple, which was `step`. Raises NotANumber."""
        return self._read(FRAMES_FIX, step)

    def read_end(self, step: int) -> Totals:
        """The totals of the end, which is at `step`. Raises NotANumber."""
        return self._read(END_FIX, step)

    def _read(self, fix: str, step: int) -> Totals:
        temperature, pressure, potential, kinetic = self._values(fix.encode())
        if not math.isfinite(potential):
            raise NotANumber(f"potential energy is not a number at step {step}")
        bar, ev = self._in_bar_and_ev
        return Totals(*map(_finite, (temperature, pressure * bar, potential * ev, kinetic * ev)))

    def _values(self, fix: bytes) -> list[float]:
        """The numbers of a fix; the library hands out copies that are to be given back."""
        extract, handle, found = self._extract, self._handle, []
        for place in range(NUMBERS):
            address = extract(handle, fix, GLOBAL, VECTOR, place, 0)
            found.append(ctypes.c_double.from_address(address).value)
            self._free(address)
        return found


def _order(fix: str, every_steps: int) -> str:
    return f"fix {fix} all ave/time 1 1 {every_steps} c_thermo_temp c_thermo_press c_thermo_pe c_{KINETIC}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
