"""Snapshots of a running LAMMPS, cheap enough to take every few milliseconds. Adapter.

The library's C functions are called directly: between two chunks of MD all caches are cold, and the wrapper of the
`lammps` package then takes 300 microseconds for what takes 70 here (288 atoms, one rank).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from moireloop_worker.growth import Snapshot

Rows = npt.NDArray[np.float32]


class SnapshotTaker:
    """Takes snapshots of one LAMMPS instance; `refresh` is called whenever its atoms or box were set up anew.

    Atoms come in the order of their ids. Types are looked up at `refresh` and when the number of atoms changes.
    """

    def __init__(self, instance: Any, communicator: MPI.Intracomm) -> None:
        self._lammps = instance
        self._comm = communicator
        handle, library = instance.lmp, instance.lib
        self._temperature = _prototype(
            library, "lammps_extract_compute", ctypes.POINTER(ctypes.c_double), ctypes.c_char_p, *[ctypes.c_int] * 2
        )
        self._extract_box = _prototype(library, "lammps_extract_box", None, *[ctypes.c_void_p] * 7)
        self._gather = _prototype(
            library, "lammps_gather_atoms", None, ctypes.c_char_p, *[ctypes.c_int] * 2, ctypes.c_void_p
        )
        self._has_error = _prototype(library, "lammps_has_error", ctypes.c_int)
        self._error_text = _prototype(
            library, "lammps_get_last_error_message", ctypes.c_int, ctypes.c_char_p, ctypes.c_int
        )
        self._natoms = _prototype(library, "lammps_get_natoms", ctypes.c_double)
        self._handle = handle
        self._box = (ctypes.c_double * 9)()
        self._flags = (ctypes.c_int * 4)()
        self.refresh()

    def refresh(self) -> None:
        """Forget what was known of the atoms and the box."""
        self._known_box: tuple[float, ...] = ()
        self._cell = np.zeros((3, 3))
        self._places = np.empty((0, 3))
        self._types = np.empty(0, dtype=np.uint8)
        self._gaps = False

    def take(self, step: int, timestep_ps: float) -> Snapshot | None:
        """The present instant on rank 0, None on the others; all ranks call it."""
        temperature_k = self._temperature(self._handle, b"thermo_temp", 0, 0)[0]
        atoms = self._atoms_of_one_rank() if self._comm.size == 1 else None
        atoms = atoms or self._atoms_of_all_ranks()
        if atoms is None:
            return None
        positions, types = atoms
        return Snapshot(step, step * timestep_ps, temperature_k, self._present_cell(), positions, types)

    def _atoms_of_one_rank(self) -> tuple[Rows, npt.NDArray[np.uint8]] | None:
        """Positions and types by id, gathered by LAMMPS; None where ids have gaps, which LAMMPS refuses."""
        atoms = int(self._natoms(self._handle))
        if not atoms or self._gaps:
            return None
        known = len(self._places)
        if atoms != known:
            self._places = np.empty((atoms, 3))
        self._gather(self._handle, b"x", 1, 3, self._places.ctypes.data)
        if self._has_error(self._handle):
            self._error_text(self._handle, ctypes.create_string_buffer(1), 1)
            self._gaps = True
            return None
        if atoms != known:
            types = np.zeros(atoms, dtype=np.int32)
            self._gather(self._handle, b"type", 0, 1, types.ctypes.data)
            self._types = types.astype(np.uint8)
        return self._places.astype(np.float32), self._types

    def _atoms_of_all_ranks(self) -> tuple[Rows, npt.NDArray[np.uint8]] | None:
        rows = self._gathered_rows()
        if rows is None:
            return None
        numbers = rows.view(np.int32)
        order = np.argsort(numbers[:, 3])
        return np.ascontiguousarray(rows[order, :3]), numbers[order, 4].astype(np.uint8)

    def _gathered_rows(self) -> Rows | None:
        """Rows of x, y, z (float32), id and type (int32 in the same four bytes) of all atoms, on rank 0."""
        mine = self._own_rows()
        counts = self._comm.gather(mine.size)
        if counts is None:
            self._comm.Gatherv(mine, None)
            return None
        rows = np.empty((sum(counts) // mine.shape[1], mine.shape[1]), dtype=np.float32)
        self._comm.Gatherv(mine, (rows, counts))
        return rows

    def _own_rows(self) -> Rows:
        atoms = self._lammps.extract_setting("nlocal")
        rows = np.empty((atoms, 5), dtype=np.float32)
        if atoms:
            read = self._lammps.numpy.extract_atom
            rows[:, :3] = read("x")[:atoms]
            rows.view(np.int32)[:, 3] = read("id")[:atoms]
            rows.view(np.int32)[:, 4] = read("type")[:atoms]
        return rows

    def _present_cell(self) -> npt.NDArray[np.float64]:
        """Rows a, b, c of the cell in angstrom; the same array as long as the box does not change."""
        start, flags = ctypes.addressof(self._box), ctypes.addressof(self._flags)
        self._extract_box(self._handle, start, start + 24, start + 48, start + 56, start + 64, flags, flags + 12)
        box = tuple(self._box)
        if box != self._known_box:
            self._known_box = box
            x_low, y_low, z_low, x_high, y_high, z_high, xy, yz, xz = box
            self._cell = np.array([[x_high - x_low, 0, 0], [xy, y_high - y_low, 0], [xz, yz, z_high - z_low]])
        return self._cell


def _prototype(library: Any, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of the library, called with the instance's handle first."""
    call: Callable[..., Any] = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *arguments)((name, library))
    return call
