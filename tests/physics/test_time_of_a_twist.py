"""The time of a twist grows no faster than the number of atoms."""

from __future__ import annotations

import time

import pytest

from bench.twist_speed import hot_frame, measured


@pytest.mark.parametrize("chalcogens", [True, False], ids=["MoS2", "bead"])
def test_sixteen_times_the_atoms_take_no_more_than_sixteen_times_as_long(chalcogens: bool) -> None:
    """From 10 000 to 160 000 atoms the best of several processor times an atom does not grow by half."""
    best_s = {}
    for atoms in (10_000, 160_000):
        frame, times = hot_frame(atoms, chalcogens=chalcogens), []
        for _ in range(6):
            begun_s = time.process_time()
            assert measured(frame).twist_deg is not None
            times.append(time.process_time() - begun_s)
        best_s[atoms] = min(times) / len(frame.upper)
    assert best_s[160_000] <= 1.5 * best_s[10_000]
