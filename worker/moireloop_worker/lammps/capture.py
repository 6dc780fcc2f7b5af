"""Configurations of a running LAMMPS, taken without interrupting it (adapter).

From inside a step that is due, the callback copies what the snapshot needs and nothing more; the rest waits until the
next look-up and is then done for all its snapshots at a stroke. Between two steps of MD all caches are cold: what takes
50 microseconds in a loop takes 300 there, and a step of a small system takes 70.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from moireloop_broker.contract.frames import MAX_FINAL_ATOMS
from moireloop_worker.lammps.library import library_function
from moireloop_worker.lammps.totals import Totals, TotalsReader
from moireloop_worker.models.growth_model import Configuration, Selection

ROW: Final = np.dtype([("place", "<f4", 3), ("id", "<i8"), ("type", "u1")])


BOX_NUMBERS: Final = 9

TOGETHER_BYTES: Final = 256 * 1024
"""Positions of snapshots that are arranged at a stroke; larger ones take their time anyway, one by one."""


class TooManyAtoms(ValueError):
    """A final frame with this many atoms cannot be kept."""


class _Record(NamedTuple):
    """One rank's part of a snapshot, as copied from LAMMPS."""

    step: int
    box: bytes
    places: bytes
    ids: bytes
    types: bytes


class Atoms(NamedTuple):
    """Ids (n,), positions (n, 3) in angstrom and types (n,) of atoms, in any order."""

    ids: npt.NDArray[Any]
    places: npt.NDArray[Any]
    types: npt.NDArray[Any]

    def in_order(self) -> Atoms:
        """The same in the order of their ids."""
        order = self.ids.argsort()
        return Atoms(self.ids[order], self.places[order], self.types[order])


class SelectedAtoms:
    """The atoms of a selection on one rank, in the order of their ids.

    LAMMPS seldom moves atoms about in memory, so that the order of one snapshot mostly serves for the next.

    Args:
        types: types of the selection; empty for all.
        id_type: numpy's name of the type of LAMMPS's ids.
    """

    def __init__(self, types: tuple[int, ...], id_type: str) -> None:
        self._is_selected = np.zeros(max(types, default=0) + 2, dtype=bool)
        self._is_selected[list(types)] = True
        self._has_all = not types
        self._id_type = id_type
        self._memory: tuple[bytes, bytes] | None = None
        self._order = np.empty(0, dtype=np.intp)
        self._in_order = Atoms(self._order, self._order, self._order)

    def of(self, records: Sequence[_Record]) -> list[Atoms]:
        """The selected atoms of each record; positions and types as they go into frames."""
        found: list[Atoms] = []
        while len(found) < len(records):
            first = records[len(found)]
            if self._memory != (first.ids, first.types):
                self._sort(first)
            found += self._arranged(self._alike(records[len(found) :]))
        return found

    def _alike(self, records: Sequence[_Record]) -> Sequence[_Record]:
        """The first records, as many as have their atoms in the present order and are small together."""
        most = max(1, TOGETHER_BYTES // max(1, len(records[0].places)))
        for number, record in enumerate(records[1:most], 1):
            if self._memory != (record.ids, record.types):
                return records[:number]
        return records[:most]

    def _arranged(self, records: Sequence[_Record]) -> list[Atoms]:
        shape = len(records), len(records[0].places) // 24, 3
        places = records[0].places if len(records) == 1 else b"".join(record.places for record in records)
        taken = np.frombuffer(places).reshape(shape).astype(np.float32).take(self._order, axis=1)
        ids, _, types = self._in_order
        return [Atoms(ids, one, types) for one in taken]

    def count(self, types: npt.NDArray[np.int32]) -> int:
        """How many atoms of these types are selected."""
        return len(types) if self._has_all else int(self._selects(types).sum())

    def _selects(self, types: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        return self._is_selected.take(types, mode="clip")

    def _sort(self, record: _Record) -> None:
        ids, types = np.frombuffer(record.ids, dtype=self._id_type), np.frombuffer(record.types, dtype="<i4")
        order = ids.argsort()
        if not self._has_all and not (selected := self._selects(types)).all():
            order = order[selected.take(order)]
        self._order, self._memory = order, (record.ids, record.types)
        self._in_order = Atoms(ids[order], self._in_order.places, types[order].astype(np.uint8))


def gathered(communicator: MPI.Intracomm, atoms: list[Atoms]) -> list[Atoms]:
    """For each snapshot the atoms of all ranks on rank 0; an empty list on the others. All ranks call it."""
    rows = [_packed(part) for part in atoms]
    sizes = communicator.gather([part.nbytes for part in rows])
    if sizes is None:
        for part in rows:
            communicator.Gatherv(part.view(np.uint8), None)
        return []
    together = []
    for number, part in enumerate(rows):
        counts = [size[number] for size in sizes]
        starts = [sum(counts[:rank]) for rank in range(len(counts))]
        whole = np.empty(sum(counts) // ROW.itemsize, dtype=ROW)
        communicator.Gatherv(part.view(np.uint8), (whole.view(np.uint8), (counts, starts)))
        together.append(Atoms(whole["id"], whole["place"], whole["type"]))
    return together


def _packed(atoms: Atoms) -> npt.NDArray[np.void]:
    rows = np.empty(len(atoms.ids), dtype=ROW)
    rows["id"], rows["place"], rows["type"] = atoms
    return rows


class SnapshotRecorder:
    """Takes snapshots of one LAMMPS instance. All ranks call its methods.

    Rank 0 gets whole snapshots, with positions in angstrom in the order of the atoms' ids. Where the selection says so
    each rank gets its own part of a recorded snapshot instead, in any order.
    A snapshot is taken in the middle of its step. Its temperature, pressure and energies are taken at the end of the
    step, and read when the next snapshot is taken or at the next look-up.
    """

    def __init__(self, instance: Any, communicator: MPI.Intracomm) -> None:
        library = instance.lib
        self._handle: Any = instance.lmp
        self._comm = communicator
        self._id_type = f"<i{instance.extract_setting('tagint')}"
        self._id_bytes = instance.extract_setting("tagint")
        self._instance = instance
        self._totals = TotalsReader(instance)
        self._per_atom = library_function(library, "lammps_extract_atom", ctypes.c_void_p, ctypes.c_char_p)
        self._extract_box = library_function(library, "lammps_extract_box", None, *[ctypes.c_void_p] * 7)
        self._box = (ctypes.c_double * 9)()
        self._flags = (ctypes.c_int * 4)()
        self._box_places = _addresses(self._box, self._flags)
        self._records: list[_Record] = []
        self._records_totals: list[Totals] = []
        self._selection = Selection()
        self._selected = SelectedAtoms((), self._id_type)
        self._in_parts = False
        self._every_steps = self._last = self._end = 0

    def commands(self, every_steps: int) -> tuple[str, ...]:
        """LAMMPS commands that order what snapshots at multiples of `every_steps` need (0: none are taken)."""
        return self._totals.commands(every_steps)

    def start(self, first: int, end: int, every_steps: int, selection: Selection) -> None:
        """Snapshots are due after step `first` and before step `end`, of the atoms of a selection.

        Raises:
            TooManyAtoms: the final frame could not be kept.
        """
        self._records.clear()
        self._records_totals.clear()
        self._selection, self._every_steps = selection, every_steps
        self._selected = SelectedAtoms(selection.types, self._id_type)
        if not every_steps:
            return
        atoms = self._selected_atoms()
        if atoms > MAX_FINAL_ATOMS:
            raise TooManyAtoms(
                f'expected at most {MAX_FINAL_ATOMS} atoms in a final frame, got {atoms}; [frames] atoms = "lattice" '
                "leaves out those that the analysis does not need"
            )
        self._in_parts = selection.part_atoms is not None and self._comm.size > 1 and atoms > selection.part_atoms
        self._last, self._end = first, end

    def due(self, step: int) -> int | None:
        """The next step, from `step` on, at which `take` is to be called; None where there is no more."""
        if not self._every_steps:
            return None
        due = -(-max(step, self._last + 1) // self._every_steps) * self._every_steps
        return due if due <= self._end else None

    def take(self, step: int, atoms: int, ids: int | None, places: int | None) -> None:
        """Take what a snapshot of the present step needs, from inside this step; at the very end, of the last step.

        Raises:
            NotANumber: on all ranks; the potential energy of the last one is not a number.
        """
        self._read_totals()
        if step < self._end:
            self._records.append(self._record(step, atoms, ids, places))
        self._last = step

    def recorded(self, before: int, timestep_ps: float) -> list[Configuration]:
        """The snapshots of steps below `before`, all over, oldest first: each is handed out once.

        Whole ones on rank 0 and none on the others, or own parts.

        Raises:
            NotANumber: on all ranks; the potential energy of a snapshot is not a number.
        """
        ready = sum(record.step < before for record in self._records)
        if ready > len(self._records_totals):
            self._read_totals()
        records, self._records = self._records[:ready], self._records[ready:]
        totals, self._records_totals = self._records_totals[:ready], self._records_totals[ready:]
        if not records:
            return []
        atoms = self._selected.of(records)
        if self._in_parts:
            own = _snapshots(records, atoms, totals, timestep_ps)
            return [replace(snapshot, part=self._comm.rank, parts=self._comm.size) for snapshot in own]
        return self._whole(records, atoms, totals, timestep_ps)

    def rest(self) -> None:
        """Record nothing more until the next `start`."""
        self._end = 0

    def end_commands(self) -> tuple[str, ...]:
        """LAMMPS commands before the `run 0` that `present` needs."""
        return self._totals.end_commands()

    def present(self, step: int, timestep_ps: float) -> Configuration | None:
        """The present instant after `end_commands` and a `run 0`, whole, on rank 0; None on the others.

        Raises:
            NotANumber: on all ranks; the potential energy is not a number.
        """
        totals = self._totals.read_end(step)
        ids, places = self._per_atom(self._handle, b"id"), self._per_atom(self._handle, b"x")
        record = self._record(step, self._instance.extract_setting("nlocal"), ids, places)
        snapshots = self._whole([record], self._selected.of([record]), [totals], timestep_ps)
        return snapshots[0] if snapshots else None

    def _record(self, step: int, atoms: int, ids: int | None, places: int | None) -> _Record:
        self._extract_box(self._handle, *self._box_places)
        if not atoms or ids is None or places is None:
            return _Record(step, bytes(self._box), b"", b"", b"")
        first_place = ctypes.c_void_p.from_address(places).value
        copied = ctypes.string_at
        return _Record(
            step,
            bytes(self._box),
            copied(first_place or 0, atoms * 24),
            copied(ids, atoms * self._id_bytes),
            copied(self._per_atom(self._handle, b"type"), atoms * 4),
        )

    def _read_totals(self) -> None:
        """The totals of the last record, which LAMMPS has since the end of that step."""
        if len(self._records_totals) < len(self._records):
            self._records_totals.append(self._totals.read(self._records[-1].step))

    def _selected_atoms(self) -> int:
        """Atoms of the selection on all ranks."""
        here = self._instance.extract_setting("nlocal")
        if self._selection.types and here:
            types = np.frombuffer(ctypes.string_at(self._per_atom(self._handle, b"type"), here * 4), dtype="<i4")
            here = self._selected.count(types)
        return int(self._comm.allreduce(here))

    def _whole(
        self, records: list[_Record], atoms: list[Atoms], totals: list[Totals], timestep_ps: float
    ) -> list[Configuration]:
        if self._comm.size > 1:
            atoms = [together.in_order() for together in gathered(self._comm, atoms)]
        if not atoms:
            return []
        return _snapshots(records, atoms, totals, timestep_ps)


def _snapshots(
    records: Sequence[_Record], atoms: Sequence[Atoms], totals: Sequence[Totals], timestep_ps: float
) -> list[Configuration]:
    cells = cells_of([record.box for record in records])
    return [
        Configuration(
            step=record.step,
            time_ps=record.step * timestep_ps,
            cell=cell,
            positions=part.places,
            types=part.types,
            temperature_k=total.temperature_k,
            pressure_bar=total.pressure_bar,
            potential_ev=total.potential_ev,
            kinetic_ev=total.kinetic_ev,
        )
        for record, cell, part, total in zip(records, cells, atoms, totals, strict=True)
    ]


def cells_of(boxes: Sequence[bytes]) -> npt.NDArray[np.float64]:
    """Rows a, b, c of the cells, (n, 3, 3), from what lammps_extract_box wrote of each: corners, xy, yz, xz."""
    rows = np.frombuffer(b"".join(boxes)).reshape(-1, BOX_NUMBERS)
    cells = np.zeros((len(rows), 9))
    cells[:, ::4] = rows[:, 3:6] - rows[:, :3]
    cells[:, 3], cells[:, 7], cells[:, 6] = rows[:, 6], rows[:, 7], rows[:, 8]
    return cells.reshape(-1, 3, 3)


def _addresses(box: Any, flags: Any) -> tuple[ctypes.c_void_p, ...]:
    """Where lammps_extract_box writes: low and high corner, xy, yz, xz into `box`, two sets of flags into `flags`."""
    start, other = ctypes.addressof(box), ctypes.addressof(flags)
    places = (start, start + 24, start + 48, start + 56, start + 64, other, other + 12)
    return tuple(ctypes.c_void_p(place) for place in places)
