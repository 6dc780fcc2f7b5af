"""Plans of a little solid argon: LAMMPS runs of milliseconds, in whatever units."""

from __future__ import annotations

from moireloop_worker.models.growth_model import Plan, Stage

KCAL_MOL_EV = 1 / 23.060548
"""From a table of conversion factors, apart from the constants that the code uses."""

EPSILON_EV = 0.0103
UNITS = {"metal": (EPSILON_EV, 1.0), "real": (EPSILON_EV / KCAL_MOL_EV, 1000.0), "lj": (1.0, 1.0)}


def argon(units: str = "metal", steps: int = 40, *further: str, cells: int = 3) -> Plan:
    """Some argon at 40 K that two stages move, `further` commands behind the forces."""
    epsilon, fs = UNITS[units]
    start = (f"units {units}", "atom_style atomic", "atom_modify map array")
    structure = (
        "lattice custom 5.4 a1 1 0 0 a2 0 1 0 a3 0 0 1 basis 0 0 0 basis 0.5 0.5 0 basis 0.5 0 0.5 basis 0 0.5 0.5"
        if units != "lj"
        else "lattice fcc 1.0",
        f"region cell block 0 {cells} 0 {cells} 0 {cells}",
        "create_box 2 cell",
        "create_atoms 1 box basis 4 2",
    )
    forces = (
        "mass * 39.948",
        "pair_style lj/cut 7.0" if units != "lj" else "pair_style lj/cut 2.5",
        f"pair_coeff * * {epsilon!r} 3.4" if units != "lj" else "pair_coeff * * 1.0 1.0",
        "velocity all create 40.0 1 loop geom" if units != "lj" else "velocity all create 0.3 1 loop geom",
        "fix motion all nve",
        f"timestep {0.002 * fs!r}",
        "thermo 8",
        "thermo_style custom step temp press pe ke",
        "thermo_modify format float %20.15g",
        *further,
    )
    half = steps // 2
    return Plan(start, structure, forces, (Stage("one", (), half), Stage("two", (), steps - half)), 0.002)
