"""Growth models, the MPI LAMMPS worker and the launchers that start it (pure)."""

from __future__ import annotations
