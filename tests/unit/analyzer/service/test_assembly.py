"""Frames from parts: whole ones come out, what is incomplete is given up and counted, what contradicts is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moireloop_analyzer.service.assembly import BEGUN_FRAMES, Assembly, PartRefused
from moireloop_broker.contract.frames import MAX_FRAME_ATOMS, Frame, FrameHeader


def part(number: int, parts: int = 3, *, atoms: int = 2, **changes: Any) -> Frame:
    """A part whose atoms all have its number as x, its step as y."""
    fields = {
        "candidate_id": "c1",
        "attempt": 1,
        "step": 10,
        "time_ps": 0.04,
        "cell": [[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]],
        "periodic": [True, True, False],
        "shape": [atoms, 3],
        "lattice_types": [1],
        "part": number,
        "parts": parts,
    }
    header = FrameHeader.model_validate(fields | changes)
    positions = np.full((atoms, 3), (number, header.step, 0), dtype=np.float32)
    return Frame(header, positions, np.full(atoms, 1 + number % 200, dtype=np.uint8))


def added(assembly: Assembly, *parts: Frame, now_s: float = 0.0) -> list[Frame]:
    return [whole for one in parts if (whole := assembly.add(one, now_s)) is not None]


def test_frame_in_one_piece_passes() -> None:
    """A frame that is no part of anything comes out as it went in."""
    frame = part(0, 1)
    assert Assembly().add(frame, 0.0) is frame


@given(order=st.permutations(range(4)), sizes=st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_parts_make_a_frame_in_whatever_order_they_come(order: list[int], sizes: list[int]) -> None:
    """The last part completes the frame, which has the atoms of all parts and the header of a frame in one piece."""
    assembly = Assembly()
    parts = [part(number, 4, atoms=sizes[number]) for number in order]
    (whole,) = added(assembly, *parts)
    assert whole.header == part(0, 1, atoms=sum(sizes)).header
    assert whole.positions[:, 0].tolist() == (whole.types - 1.0).tolist() == np.repeat(range(4), sizes).tolist()
    assert (assembly.held_bytes, assembly.incomplete) == (0, 0)


def test_frames_of_several_runs_and_steps_are_kept_apart() -> None:
    """Parts of other steps, attempts and candidates in between end up in their own frames."""
    assembly = Assembly()
    kinds: list[dict[str, Any]] = [{}, {"step": 20}, {"attempt": 2}, {"candidate_id": "c2"}]
    wholes = added(assembly, *(part(number, **kind) for number in range(3) for kind in kinds))
    assert [whole.header for whole in wholes] == [part(0, 1, atoms=6, **kind).header for kind in kinds]
    assert all(set(whole.positions[:, 1].tolist()) == {whole.header.step} for whole in wholes)
    assert assembly.incomplete == 0


def test_frame_without_a_part_is_given_up_when_a_later_one_is_whole() -> None:
    """Each rank sends in order: what is missing of step 10 does not come after step 20. Other runs stay."""
    assembly = Assembly()
    added(assembly, part(0), part(1), part(0, candidate_id="c2"), part(0, step=30))
    (whole,) = added(assembly, *(part(number, step=20) for number in range(3)))
    assert whole.header.step == 20
    assert assembly.incomplete == 1
    assert assembly.held_bytes == 2 * 2 * 13


def test_frame_without_a_part_is_given_up_after_a_while() -> None:
    """It holds memory for a bounded time."""
    assembly = Assembly(kept_s=60)
    added(assembly, part(0), now_s=0)
    added(assembly, part(0, step=20), now_s=50)
    added(assembly, part(0, step=30), now_s=61)
    assert assembly.incomplete == 0, "the missing parts may have waited while a frame was measured"
    assembly.forget(61)
    assert (assembly.incomplete, assembly.held_bytes) == (1, 2 * 26)


def test_parts_that_wait_are_bounded_in_bytes_and_number() -> None:
    """Beyond the bounds the oldest frames are given up, and the newest still becomes whole."""
    assembly = Assembly(kept_bytes=10 * 26)
    added(assembly, *(part(0, step=step) for step in range(100)))
    assert (assembly.incomplete, assembly.held_bytes) == (90, 260)
    (whole,) = added(assembly, part(1, step=99), part(2, step=99))
    assert whole.header.step == 99
    many = Assembly()
    added(many, *(part(0, atoms=0, step=step) for step in range(1000)))
    assert many.incomplete == 1000 - BEGUN_FRAMES


CONTRADICTING: dict[str, tuple[dict[str, Any], str]] = {
    "another number of parts": ({"parts": 4}, "parts 4 instead of 3"),
    "another cell": ({"cell": [[8.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]}, "cell"),
    "another time": ({"time_ps": 0.05}, "time_ps"),
    "another energy": ({"potential_ev": -1.0}, "potential_ev"),
    "other lattice types": ({"lattice_types": [2]}, "lattice_types"),
}


@pytest.mark.parametrize(("changes", "says"), CONTRADICTING.values(), ids=CONTRADICTING.keys())
def test_part_with_another_header_is_refused(changes: dict[str, Any], says: str) -> None:
    """The part that contradicts is refused; those that are there stay, and the frame can still become whole."""
    assembly = Assembly()
    added(assembly, part(0))
    with pytest.raises(PartRefused, match=says):
        assembly.add(part(1, **changes), 0.0)
    assert len(added(assembly, part(1), part(2))) == 1


def test_part_that_comes_twice_is_refused() -> None:
    """The first one counts."""
    assembly = Assembly()
    added(assembly, part(0), part(1))
    with pytest.raises(PartRefused, match="part 1 once"):
        assembly.add(part(1, atoms=5), 0.0)
    (whole,) = added(assembly, part(2))
    assert len(whole.positions) == 6


def test_parts_of_too_many_atoms_together_are_refused() -> None:
    """Each part may have as many atoms as a frame, all together no more."""

    def huge(number: int) -> Frame:
        header = part(number).header.model_copy(update={"shape": [MAX_FRAME_ATOMS // 2, 3]})
        return Frame(header, np.empty((0, 3), np.float32), np.empty(0, np.uint8))

    assembly = Assembly()
    added(assembly, huge(0), huge(1))
    with pytest.raises(PartRefused, match="at most"):
        assembly.add(part(2), 0.0)
