"""Growths of the chamber as the model learns them: measured patterns with a twist and all growth parameters (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import Points, SearchSpace

FEWEST_GROWTHS: Final = 3
"""Below it the model learns nothing from them."""

MOST_GROWTHS: Final = 200
"""The newest ones: a fit takes a bounded time."""

FARTHEST: Final = 100.0
"""From the middle of the search space, in its widths."""


@dataclass(frozen=True)
class Growths:
    """Twists that the chamber has shown.

    `points` (M, d) are places in the unit cube of the search space, `own` (M, k) the chamber's own parameters, each
    over its range. `twist_deg` and `sigma_deg` (M,) are the twists and their standard errors, in degrees.
    """

    points: Points
    own: npt.NDArray[np.float64]
    twist_deg: npt.NDArray[np.float64]
    sigma_deg: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def chamber(self) -> npt.NDArray[np.float64]:
        """(M, d + k) all parameters of the chamber."""
        return np.concatenate([self.points, self.own], axis=1)


class Chamber:
    """The growths among measured patterns, and the parameters that the chamber has beside the search space's.

    A pattern counts where it has a twist and a value of each parameter of the search space, not absurdly far outside
    it; the newest count. Further parameters count where every such pattern has them; `varies` (k,) says which of them
    have had several values.
    """

    def __init__(self, patterns: Iterable[PatternMeasured], space: SearchSpace) -> None:
        events = [event for event in patterns if _counts(event, space)][-MOST_GROWTHS:]
        common = set.intersection(*(set(event.parameters) for event in events)) if events else set()
        self.names = sorted(common - set(space.names))
        own = np.array([[event.parameters[name] for name in self.names] for event in events], dtype=np.float64)
        own = own.reshape(len(events), len(self.names))
        self._low, high = own.min(axis=0, initial=np.inf), own.max(axis=0, initial=-np.inf)
        self._range = np.where(high > self._low, high - self._low, 1.0)
        self.varies = high > self._low
        self.growths = Growths(
            space.to_unit([event.parameters for event in events]),
            (own - self._low) / self._range,
            *_twists(events),
        )

    def values(self, own: npt.NDArray[np.float64]) -> dict[str, float]:
        """The chamber's own parameters at a place (k,) between those that were seen."""
        return dict(zip(self.names, (self._low + own * self._range).tolist(), strict=True))


def _counts(event: PatternMeasured, space: SearchSpace) -> bool:
    if event.analysis.twist_deg is None or not set(space.names) <= event.parameters.keys():
        return False
    return bool((np.abs(space.to_unit([event.parameters]) - 0.5) < FARTHEST).all())


def _twists(events: Sequence[PatternMeasured]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    twists = [(event.analysis.twist_deg, event.analysis.sigma_deg or 0.0) for event in events]
    twist_deg, sigma_deg = np.array(twists, dtype=np.float64).reshape(-1, 2).T
    return twist_deg, sigma_deg
