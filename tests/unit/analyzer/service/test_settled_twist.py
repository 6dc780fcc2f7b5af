"""The twist of a run that was ended as settled comes from its window, not from one warm frame."""

from __future__ import annotations

import math

import pytest

from moireloop_analyzer.service.settled_twist import settled_measurement
from moireloop_broker.contract.events import Measurement
from moireloop_broker.contract.frames import FrameHeader
from tests.unit.analyzer.service.test_early_end import points

FINAL = Measurement(
    twist_deg=8.9, signed_deg=-8.9, sigma_deg=0.4, order_lower=0.99, order_upper=0.9,
    lattice_lower_angstrom=3.16, lattice_upper_angstrom=3.16, moire_angstrom=20.4,
)  # fmt: skip


def header(step: int) -> FrameHeader:
    return FrameHeader(
        candidate_id="c1", attempt=1, step=step, time_ps=0.0, cell=[[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]],
        periodic=[True, True, False], shape=[0, 3], lattice_types=[1], final=True,
    )  # fmt: skip


def test_twist_is_the_median_that_was_seen() -> None:
    """Of three frames and the last one, the lower of the two in the middle; everything else is the last frame's."""
    found = settled_measurement(header(400), FINAL, points(8.2, 8.25, 8.2), 3)
    assert found.twist_deg == 8.2
    assert found.signed_deg == -8.2
    assert found.moire_angstrom == pytest.approx(3.16 / (2 * math.sin(math.radians(4.1))), rel=1e-6)
    assert (found.order_upper, found.lattice_lower_angstrom, found.reason) == (0.9, 3.16, None)


def test_error_is_that_of_a_median() -> None:
    """Three frames of 0.05 and one of 0.4 degrees: 1.25 times the error of their weighted mean."""
    found = settled_measurement(header(400), FINAL, points(8.2, 8.25, 8.2), 3)
    assert found.sigma_deg == pytest.approx(math.sqrt(math.pi / 2) / math.sqrt(3 / 0.05**2 + 1 / 0.4**2))


def test_last_frame_without_a_twist_gets_that_of_the_window() -> None:
    """A passing disorder of the last frame does not refuse a run that had settled; its sense is not known."""
    found = settled_measurement(header(400), Measurement(reason="molten", order_upper=0.4), points(8.2, 8.2, 8.2), 3)
    assert (found.twist_deg, found.signed_deg, found.reason, found.order_upper) == (8.2, None, None, 0.4)


@pytest.mark.parametrize("twists", [(8.2,), (8.2, 8.2), (None, None, 8.2), ()])
def test_without_a_window_the_last_frame_counts(twists: tuple[float | None, ...]) -> None:
    """Frames that are not there any more, or have no twist, cannot say more than the last one."""
    molten = Measurement(reason="molten")
    assert settled_measurement(header(400), molten, points(*twists), 3) == molten


def test_frames_of_the_final_step_and_later_do_not_count() -> None:
    """The window ends before the last frame, whichever were read late."""
    late = points(8.2, 8.2, 8.2, 20.0, 20.0)
    assert settled_measurement(header(400), FINAL, late, 3).twist_deg == 8.2


def test_sense_of_another_twist_is_not_taken() -> None:
    """Where the last frame shows another twist, its sense says nothing of the settled one."""
    found = settled_measurement(header(400), FINAL, points(2.5, 2.5, 2.5), 3)
    assert (found.twist_deg, found.signed_deg) == (2.5, None)
