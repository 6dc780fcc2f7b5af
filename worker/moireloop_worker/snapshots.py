"""Snapshots of a running LAMMPS, taken without interrupting it (adapter).

LAMMPS calls back at each multiple of `every_steps` (fix external). The callback copies what the snapshot needs and
nothing more; the rest waits until the chunk of MD is over and is then done for all its snapshots at a stroke. Between
two pieces of MD all caches are cold: what takes 50 microseconds in a loop takes 300 there, and a step of a small
system takes 70.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from moireloop_worker.growth import Snapshot

FIX: Final = "moireloop_frames"
NEVER: Final = 2_000_000_000
NOT_NULL: Final = 1
ROW: Final = np.dtype([("place", "<f4", 3), ("id", "<i8"), ("type", "u1")])

_Callback: Any = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)


class _Record(NamedTuple):
    """One rank's part of a snapshot, as copied from LAMMPS."""

    step: int
    temperature_k: float
    box: bytes
    places: bytes
    ids: bytes
    types: bytes


class _Atoms(NamedTuple):
    """Ids (n,), positions (n, 3) in angstrom and types (n,) of atoms, in any order."""

    ids: npt.NDArray[Any]
    places: npt.NDArray[Any]
    types: npt.NDArray[Any]


class SnapshotRecorder:
    """Takes snapshots of one LAMMPS instance. All ranks call its methods; rank 0 gets the snapshots.

    `callback_s` sums the time that LAMMPS was held up by them.

    Positions are those of the step, in angstrom, in the order of the atoms' ids. The temperature of a recorded
    snapshot is that of the velocities half a step before, since LAMMPS calls back in the middle of its step.
    """

    def __init__(self, instance: Any, communicator: MPI.Intracomm) -> None:
        library = instance.lib
        self._handle: Any = instance.lmp
        self._comm = communicator
        self._id_type = f"<i{instance.extract_setting('tagint')}"
        self._id_bytes = instance.extract_setting("tagint")
        self._instance = instance
        self._temperature = _function(
            library, "lammps_extract_compute", ctypes.POINTER(ctypes.c_double), ctypes.c_char_p, *[ctypes.c_int] * 2
        )
        self._per_atom = _function(library, "lammps_extract_atom", ctypes.c_void_p, ctypes.c_char_p)
        self._extract_box = _function(library, "lammps_extract_box", None, *[ctypes.c_void_p] * 7)
        self._call_back = _function(
            library, "lammps_set_fix_external_callback", None, ctypes.c_char_p, _Callback, ctypes.c_void_p
        )
        self._box = (ctypes.c_double * 9)()
        self._flags = (ctypes.c_int * 4)()
        self._box_places = _addresses(self._box, self._flags)
        self._callback: Any = _Callback(self._on_step)
        self._records: list[_Record] = []
        self._error: BaseException | None = None
        self._last = self._end = 0
        self.callback_s = 0.0

    def commands(self, every_steps: int) -> tuple[str, ...]:
        """LAMMPS commands that make it call back; `start` comes after them."""
        return (f"fix {FIX} all external pf/callback {every_steps} {NEVER}",)

    def start(self, first: int, end: int) -> None:
        """Record from now on, after step `first` and before step `end`."""
        self._records.clear()
        self._last, self._end = first, end
        self._call_back(self._handle, FIX.encode(), self._callback, NOT_NULL)

    def recorded(self, timestep_ps: float) -> list[Snapshot]:
        """The snapshots since the last call, oldest first, on rank 0; an empty list on the others."""
        if self._error is not None:
            raise self._error
        records, self._records = self._records, []
        return self._snapshots(records, timestep_ps) if records else []

    def present(self, step: int, timestep_ps: float) -> Snapshot | None:
        """The present instant between two chunks, on rank 0; None on the others."""
        ids, places = self._per_atom(self._handle, b"id"), self._per_atom(self._handle, b"x")
        record = self._record(step, self._instance.extract_setting("nlocal"), ids, places)
        snapshots = self._snapshots([record], timestep_ps)
        return snapshots[0] if snapshots else None

    def _on_step(self, _data: int, step: int, atoms: int, ids: int, places: int, _forces: int) -> None:
        """Called by LAMMPS, also when it sets a stage up. An error must not pass through LAMMPS."""
        if self._last < step < self._end:
            began = time.perf_counter()
            self._last = step
            try:
                self._records.append(self._record(step, atoms, ids, places))
            except Exception as error:
                self._error = error
            self.callback_s += time.perf_counter() - began

    def _record(self, step: int, atoms: int, ids: int | None, places: int | None) -> _Record:
        temperature_k = self._temperature(self._handle, b"thermo_temp", 0, 0)[0]
        self._extract_box(self._handle, *self._box_places)
        if not atoms or ids is None or places is None:
            return _Record(step, temperature_k, bytes(self._box), b"", b"", b"")
        first_place = ctypes.c_void_p.from_address(places).value
        copied = ctypes.string_at
        return _Record(
            step,
            temperature_k,
            bytes(self._box),
            copied(first_place or 0, atoms * 24),
            copied(ids, atoms * self._id_bytes),
            copied(self._per_atom(self._handle, b"type"), atoms * 4),
        )

    def _snapshots(self, records: list[_Record], timestep_ps: float) -> list[Snapshot]:
        atoms = [self._atoms(record) for record in records]
        if self._comm.size > 1:
            atoms = self._gathered(atoms)
        return [_snapshot(*pair, timestep_ps) for pair in zip(records, atoms, strict=True)] if atoms else []

    def _atoms(self, record: _Record) -> _Atoms:
        ids = np.frombuffer(record.ids, dtype=self._id_type)
        return _Atoms(ids, np.frombuffer(record.places).reshape(-1, 3), np.frombuffer(record.types, dtype="<i4"))

    def _gathered(self, atoms: list[_Atoms]) -> list[_Atoms]:
        """For each snapshot the atoms of all ranks on rank 0; an empty list on the others."""
        rows = [_packed(part) for part in atoms]
        sizes = self._comm.gather([part.nbytes for part in rows])
        if sizes is None:
            for part in rows:
                self._comm.Gatherv(part.view(np.uint8), None)
            return []
        gathered = []
        for part, counts in zip(rows, zip(*sizes, strict=True), strict=True):
            whole = np.empty(sum(counts) // ROW.itemsize, dtype=ROW)
            self._comm.Gatherv(part.view(np.uint8), (whole.view(np.uint8), counts))
            gathered.append(_Atoms(whole["id"], whole["place"], whole["type"]))
        return gathered


def _packed(atoms: _Atoms) -> npt.NDArray[np.void]:
    rows = np.empty(len(atoms.ids), dtype=ROW)
    rows["id"], rows["place"], rows["type"] = atoms
    return rows


def _snapshot(record: _Record, atoms: _Atoms, timestep_ps: float) -> Snapshot:
    x_low, y_low, z_low, x_high, y_high, z_high, xy, yz, xz = np.frombuffer(record.box).tolist()
    order = atoms.ids.argsort()
    return Snapshot(
        step=record.step,
        time_ps=record.step * timestep_ps,
        temperature_k=record.temperature_k,
        cell=np.array([[x_high - x_low, 0, 0], [xy, y_high - y_low, 0], [xz, yz, z_high - z_low]]),
        positions=atoms.places[order].astype(np.float32),
        types=atoms.types[order].astype(np.uint8),
    )


def _addresses(box: Any, flags: Any) -> tuple[ctypes.c_void_p, ...]:
    """Where lammps_extract_box writes: low and high corner, xy, yz, xz into `box`, two sets of flags into `flags`."""
    start, other = ctypes.addressof(box), ctypes.addressof(flags)
    places = (start, start + 24, start + 48, start + 56, start + 64, other, other + 12)
    return tuple(ctypes.c_void_p(place) for place in places)


def _function(library: Any, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of the library, called with the instance's handle first."""
    call: Callable[..., Any] = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *arguments)((name, library))
    return call
