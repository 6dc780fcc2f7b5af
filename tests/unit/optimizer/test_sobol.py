"""The Sobol sequence."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_optimizer.sobol import sobol_points


@pytest.mark.parametrize("cut", [0, 1, 2, 7, 12])
def test_the_sequence_is_the_same_however_it_is_cut(cut: int) -> None:
    """It continues at the index given."""
    whole = sobol_points(12, 3, seed=5)
    parts = [sobol_points(cut, 3, seed=5), sobol_points(12 - cut, 3, seed=5, index=cut)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_it_fills_every_octant_once() -> None:
    """Eight points of a sequence in three dimensions: one in each octant, which random points hardly ever do."""
    octants = (sobol_points(8, 3, seed=3) > 0.5).astype(int) @ [1, 2, 4]
    assert sorted(octants.tolist()) == list(range(8))


def test_seeds_differ() -> None:
    """Another seed is another sequence."""
    assert not np.allclose(sobol_points(4, 2, seed=0), sobol_points(4, 2, seed=1))


@pytest.mark.parametrize(("n", "index"), [(-1, 0), (1, -1), (2, 2**30 - 1)])
def test_positions_outside_the_sequence_are_refused(n: int, index: int) -> None:
    """Negative ones, and those past the end."""
    with pytest.raises(ValueError, match="expected 0 <= index"):
        sobol_points(n, 2, seed=0, index=index)
