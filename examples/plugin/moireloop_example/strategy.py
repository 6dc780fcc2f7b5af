"""A strategy: a generator of the standard gest-api that draws points at random."""

import random


class Anywhere:
    """Uniform random points. `vocs` has the growth parameters with their ranges, and one objective to minimise."""

    def __init__(self, vocs, seed=0):
        self.ranges = dict(zip(vocs.variable_names, vocs.bounds, strict=True))
        self.random = random.Random(seed)

    def suggest(self, num_points):
        """Return new points, each a dictionary of growth parameters."""
        return [
            {name: self.random.uniform(low, high) for name, (low, high) in self.ranges.items()}
            for _ in range(num_points)
        ]

    def ingest(self, results):
        """Learn from results: parameters with `regret_deg`, `twist_deg` and `sigma_deg`."""
