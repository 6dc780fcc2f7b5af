"""Which atoms of a record go into a snapshot, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_worker.lammps.capture import SelectedAtoms, _Record

IDS = [4, 1, 3, 2, 5]
TYPES = [1, 2, 300, 1, 2]


def record(ids: list[int], types: list[int]) -> _Record:
    """Atoms whose positions are (id, 2 id, 3 id)."""
    places = np.outer(ids, [1.0, 2.0, 3.0])
    return _Record(0, b"", places.tobytes(), np.array(ids, "<i4").tobytes(), np.array(types, "<i4").tobytes())


@pytest.mark.parametrize(("types", "ids"), [((), [1, 2, 3, 4, 5]), ((1,), [2, 4]), ((2, 1), [1, 2, 4, 5]), ((7,), [])])
def test_selected_atoms_come_in_the_order_of_their_ids(types: tuple[int, ...], ids: list[int]) -> None:
    atoms = SelectedAtoms(types, "<i4").of(record(IDS, TYPES))
    assert atoms.ids.tolist() == ids
    np.testing.assert_array_equal(atoms.places, np.outer(ids, [1.0, 2.0, 3.0]).reshape(-1, 3))
    assert atoms.places.dtype == np.float32
    assert atoms.types.dtype == np.uint8


def test_atoms_that_moved_in_memory_or_changed_type_are_found_again() -> None:
    selected = SelectedAtoms((1,), "<i4")
    assert selected.of(record(IDS, TYPES)).ids.tolist() == [2, 4]
    assert selected.of(record([2, 3, 1, 5, 4], [1, 1, 2, 2, 1])).places[:, 0].tolist() == [2.0, 3.0, 4.0]
    assert selected.of(record([2, 3, 1, 5, 4], [2, 1, 2, 1, 2])).types.tolist() == [1, 1]
    assert selected.of(record([2, 3, 1, 5, 4], [2, 1, 2, 1, 2])).ids.tolist() == [3, 5]


def test_rank_without_atoms_has_none() -> None:
    empty = _Record(0, b"", b"", b"", b"")
    assert [len(part) for part in SelectedAtoms((1,), "<i8").of(empty)] == [0, 0, 0]
