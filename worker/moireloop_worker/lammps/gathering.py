"""Atoms of all ranks brought together on rank 0, in C buffers (adapter)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

ROW: Final = np.dtype([("place", "<f4", 3), ("id", "<i8"), ("type", "u1")])


class Atoms(NamedTuple):
    """Ids (n,), positions (n, 3) in angstrom and types (n,) of atoms, in any order."""

    ids: npt.NDArray[Any]
    places: npt.NDArray[Any]
    types: npt.NDArray[Any]

    def of_types(self, types: npt.NDArray[Any]) -> Atoms:
        """Those of the given types."""
        chosen = np.isin(self.types, types)
        return Atoms(self.ids[chosen], self.places[chosen], self.types[chosen])

    def in_order(self) -> Atoms:
        """The same in the order of their ids."""
        order = self.ids.argsort()
        return Atoms(self.ids[order], self.places[order], self.types[order])


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
