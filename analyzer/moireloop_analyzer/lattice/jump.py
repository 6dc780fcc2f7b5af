"""Whether the atoms of a layer jump off the lattice that closes over its cell along a line: a seam (pure).

Held to a lattice that closes, the atoms of a layer with a seam are displaced more and more from one side of it to the
other, and by the whole gap across it: a sawtooth, whichever way the layer was cut open. Waves and strains that belong
to a layer that closes have no such jump. The longest waves, which look most like it, are fitted beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.box import Floats

MOST_ATOMS: Final = 2000

FEWEST_LINES, MOST_LINES = 6, 40

LONGEST_WAVES: Final = ((1, 0), (0, 1), (2, 0), (0, 2), (1, 1), (1, -1))

OUTLIER: Final = 0.5
"""Atoms further from their sites than this, in spacings, do not count."""

JUMP_ODDS: Final = 40.0
"""By how much a jump must lower the squares of the misfits, in their variances, to be one."""

LEAST_NET: Final = 0.5
"""Share of a gap that must remain beside a further jump: a band that slipped jumps back, and the layer closes."""

Coordinate = tuple[int, int]
"""Whole multiples of the fractions along the rows of a plane."""

EITHER: Final[tuple[Coordinate, ...]] = ((1, 0), (0, 1), (1, 1), (1, -1))


@dataclass(frozen=True)
class Jump:
    """The jump across lines of one coordinate of a plane that explains the displacements best.

    The coordinate is `across` (2,) times the fractions along the rows of the plane; the jump is where it is `at` but
    for a whole number. `odds` is by how much it lowers the squares of the misfits that the longest waves leave, in
    units of their variance, and `gap` (2,) its vector in angstrom; `alone` (2,) is the gap without waves. `net` (2,) is
    what remains of it with the likeliest further jump across the same coordinate: nothing where a band of the
    layer has slipped, which jumps at both of its sides and closes.
    """

    across: Coordinate
    at: float
    odds: float
    gap: Floats
    alone: Floats
    net: Floats

    @property
    def returns(self) -> bool:
        """Whether most of it is taken back across the same coordinate, as at the other side of a band that slipped."""
        return math.hypot(*self.net) < LEAST_NET * math.hypot(*self.gap)


def jumps_of(
    indices: Floats,
    places: Floats,
    vectors: Floats,
    laps: Floats,
    coordinates: tuple[Coordinate, ...],
    drifts: tuple[Coordinate, ...],
    spacing: float,
) -> tuple[Jump, ...]:
    """The likeliest jump across any of these coordinates and, where there are more of them, the likeliest two.

    Args:
        indices: (N, 2) lattice indices of the atoms.
        places: (N, 2) in angstrom.
        vectors: (2, 2) of the lattice that closes, as rows.
        laps: (2, 2) lattice steps of going once along each row of the plane.
        coordinates: across whose lines jumps are sought.
        drifts: those along which the lattice does not close, so that displacements grow along them.
        spacing: of the lattice, in angstrom.
    """
    step = 1 + (len(indices) - 1) // MOST_ATOMS
    moved = places[::step] - indices[::step] @ vectors
    moved = moved - np.median(moved, axis=0)
    near = np.hypot(moved[:, 0], moved[:, 1]) < OUTLIER * spacing
    moved, fractions = moved[near], (indices[::step] @ np.linalg.inv(laps))[near]
    count = max(FEWEST_LINES, min(MOST_LINES, int(math.sqrt(len(moved)))))
    lines = np.linspace(0.0, 1.0, count, endpoint=False)
    phases = 2.0 * math.pi * fractions @ np.array(LONGEST_WAVES).T
    free = np.column_stack([np.ones(len(moved)), *(fractions @ np.array(drift) for drift in drifts)])
    waves = np.column_stack([free, np.cos(phases), np.sin(phases)])
    teeth = {across: _teeth(fractions @ np.array(across), lines) for across in coordinates}
    first = _likeliest(moved, teeth, waves, free)
    partners = {across: teeth[across] for across in coordinates if _parts(first.across, across)}
    if not partners:
        return (_with_net(first, moved, teeth, waves),)
    second = _likeliest(moved, partners, *_beside(waves, free, first, fractions))
    first = _likeliest(moved, {first.across: teeth[first.across]}, *_beside(waves, free, second, fractions))
    return _with_net(first, moved, teeth, waves), _with_net(second, moved, teeth, waves)


def _with_net(jump: Jump, moved: Floats, teeth: dict[Coordinate, Floats], waves: Floats) -> Jump:
    """The jump with what a further one across the same coordinate leaves of it."""
    candidates = teeth[jump.across]
    tooth = candidates[:, [round(jump.at * candidates.shape[1])]]
    line, odds, further = _best(moved, candidates, np.column_stack([waves, tooth]))
    if odds < JUMP_ODDS:
        return jump
    _, _, gap = _best(moved, tooth, np.column_stack([waves, candidates[:, line]]))
    return replace(jump, net=gap + further)


def _parts(one: Coordinate, other: Coordinate) -> bool:
    """Whether two coordinates give the cells of the plane, each once."""
    return abs(one[0] * other[1] - one[1] * other[0]) == 1


def _beside(waves: Floats, free: Floats, jump: Jump, fractions: Floats) -> tuple[Floats, Floats]:
    """The waves, and what is left to be free without them, with a jump beside them."""
    tooth = _teeth(fractions @ np.array(jump.across), np.array([jump.at]))
    return np.column_stack([waves, tooth]), np.column_stack([free, tooth])


def _likeliest(moved: Floats, teeth: dict[Coordinate, Floats], waves: Floats, free: Floats) -> Jump:
    jumps = []
    for across, candidates in teeth.items():
        line, odds, gap = _best(moved, candidates, waves)
        _, _, alone = _best(moved, candidates[:, [line]], free)
        jumps.append(Jump(across, line / candidates.shape[1], odds, gap, alone, net=gap))
    return max(jumps, key=lambda jump: jump.odds)


def _teeth(fractions: Floats, lines: Floats) -> Floats:
    """Sawteeth (N, L) from -1/2 above each line to 1/2 below it."""
    teeth: Floats = (fractions[:, None] - lines) % 1.0 - 0.5
    return teeth


def _best(moved: Floats, teeth: Floats, beside: Floats) -> tuple[int, float, Floats]:
    """Which of the teeth (N, L) explains the displacements (N, 2) best beside others (N, M), how well, and its gap."""
    q, _ = np.linalg.qr(beside)
    moved = moved - q @ (q.T @ moved)
    teeth = teeth - q @ (q.T @ teeth)
    sizes = np.maximum((teeth * teeth).sum(axis=0), 1e-9)
    slopes = teeth.T @ moved / sizes[:, None]
    gains = sizes * (slopes * slopes).sum(axis=1)
    line = int(gains.argmax())
    left = max(float((moved * moved).sum() - gains[line]), 1e-9)
    freedom = max(2 * (len(moved) - beside.shape[1] - 1), 1)
    return line, float(gains[line]) / (left / freedom), slopes[line]
