"""Which atoms of a record go into a snapshot, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_worker.lammps import capture
from moireloop_worker.lammps.capture import SelectedAtoms, _Record, cells_of

IDS = [4, 1, 3, 2, 5]
TYPES = [1, 2, 300, 1, 2]


def record(ids: list[int], types: list[int]) -> _Record:
    """Atoms whose positions are (id, 2 id, 3 id)."""
    places = np.outer(ids, [1.0, 2.0, 3.0])
    return _Record(0, b"", places.tobytes(), np.array(ids, "<i4").tobytes(), np.array(types, "<i4").tobytes())


@pytest.mark.parametrize(("types", "ids"), [((), [1, 2, 3, 4, 5]), ((1,), [2, 4]), ((2, 1), [1, 2, 4, 5]), ((7,), [])])
def test_selected_atoms_come_in_the_order_of_their_ids(types: tuple[int, ...], ids: list[int]) -> None:
    (atoms,) = SelectedAtoms(types, "<i4").of([record(IDS, TYPES)])
    assert atoms.ids.tolist() == ids
    np.testing.assert_array_equal(atoms.places, np.outer(ids, [1.0, 2.0, 3.0]).reshape(-1, 3))
    assert atoms.places.dtype == np.float32
    assert atoms.types.dtype == np.uint8


def test_atoms_that_moved_in_memory_or_changed_type_are_found_again() -> None:
    """Whether they are looked at one by one or several together."""
    records = [
        record(IDS, TYPES),
        record(IDS, TYPES),
        record([2, 3, 1, 5, 4], [1, 1, 2, 2, 1]),
        record([2, 3, 1, 5, 4], [2, 1, 2, 1, 2]),
        record([4, 1, 3, 2], [1, 2, 300, 2]),
    ]
    selected = SelectedAtoms((1,), "<i4")
    together, alone = selected.of(records), [selected.of([one])[0] for one in records]
    for found in (together, alone):
        assert [atoms.ids.tolist() for atoms in found] == [[2, 4], [2, 4], [2, 3, 4], [3, 5], [4]]
        assert [atoms.places[:, 0].tolist() for atoms in found] == [atoms.ids.tolist() for atoms in found]
        assert all(set(atoms.types.tolist()) == {1} for atoms in found)


@pytest.mark.parametrize("together", [1, 100, 10**6])
def test_snapshots_are_arranged_together_as_far_as_memory_allows(
    monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    """With the same outcome, and each in its own place."""
    monkeypatch.setattr(capture, "TOGETHER_BYTES", together)
    records = [record(IDS, TYPES) for _ in range(3)]
    found = SelectedAtoms((), "<i4").of(records)
    found[0].places[:] = 0
    assert [atoms.places[:, 0].tolist() for atoms in found[1:]] == [[1.0, 2.0, 3.0, 4.0, 5.0]] * 2


def test_cells_are_made_of_corners_and_tilts() -> None:
    """LAMMPS's order: low corner, high corner, xy, yz, xz."""
    boxes = [np.arange(9.0) * factor for factor in (1.0, 2.0)]
    one = np.array([[3, 0, 0], [6, 3, 0], [8, 7, 3]])
    np.testing.assert_array_equal(cells_of([box.tobytes() for box in boxes]), [one, 2 * one])


def test_rank_without_atoms_has_none() -> None:
    empty = _Record(0, b"", b"", b"", b"")
    assert [len(part) for part in SelectedAtoms((1,), "<i8").of([empty])[0]] == [0, 0, 0]
