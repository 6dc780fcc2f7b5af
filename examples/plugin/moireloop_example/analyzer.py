"""An analyzer: the distance of the two layers and the roughness of the upper one."""

from moireloop_analyzer import Analysis, Snapshot


def heights(snapshot: Snapshot) -> Analysis:
    """Called for each frame. Returns numbers with their units in the names, or the reason why there are none."""
    lower, upper = (snapshot.positions[atoms, 2] for atoms in (snapshot.twist.lower_atoms, snapshot.twist.upper_atoms))
    if len(lower) == 0 or len(upper) == 0:
        return Analysis(reasons={"spacing_angstrom": snapshot.twist.reason or "there are no two layers"})
    return Analysis(
        numbers={"spacing_angstrom": upper.mean() - lower.mean(), "roughness_angstrom": upper.std()},
    )
