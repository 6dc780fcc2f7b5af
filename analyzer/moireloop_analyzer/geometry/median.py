"""The median of numbers, by selection in place (pure)."""

from __future__ import annotations

from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled


@compiled
def median_of(values: Floats, count: int) -> float:
    """Median of the first `count` > 0 of the values (N,), which are put into another order; NaN if a NaN is there.

    Of an even number of values it is the mean of the middle two.
    """
    middle = count // 2
    upper = _selected(values, count, middle)
    if count % 2 == 1:
        return float(upper)
    lower = values[0]
    for i in range(1, middle):
        lower = max(lower, values[i])
    return float(0.5 * (lower + upper))


@compiled
def _selected(values: Floats, count: int, rank: int) -> float:
    """The value of this rank; smaller ones go before it (Hoare's selection, with a partition that never branches)."""
    low, high = 0, count
    while high - low > 1:
        one, two, three = values[low], values[(low + high) // 2], values[high - 1]
        pivot = max(min(one, two), min(max(one, two), three))
        end = low
        for i in range(low, high):
            value = values[i]
            values[i] = values[end]
            values[end] = value
            end += value < pivot
        if rank < end:
            high = end
        elif end > low:
            low = end
        else:
            for i in range(low, high):
                value = values[i]
                values[i] = values[end]
                values[end] = value
                end += not value > pivot
            if rank < end:
                return float(pivot)
            low = end
    return float(values[rank])
