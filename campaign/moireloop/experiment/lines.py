"""Terminal output for a pattern compared with a campaign (pure)."""

from __future__ import annotations

from collections.abc import Mapping

from moireloop.experiment.comparison import Comparison, Similar, Toward, change_of
from moireloop.results.labels import percent, with_error
from moireloop_analyzer.patterns.indexed import IndexedPattern, Layer


def pattern_lines(comparison: Comparison) -> list[str]:
    """What the pattern shows of itself."""
    pattern = comparison.pattern
    spots = "" if pattern.spots is None else f" of {pattern.spots} spots"
    count = f"{len(comparison.peaks)} peaks{spots}"
    if pattern.twist_deg is None:
        return [f"{count}: no twist: {pattern.reason}"]
    names = ("first layer", "second layer") if pattern.layers_known else ("brighter layer", "fainter layer")
    lines = [f"{count}: twist {with_error(pattern.twist_deg, pattern.sigma_deg, ' degrees')}"]
    lines += [layer_line(name, layer) for name, layer in zip(names, pattern.layers, strict=True)]
    return [*lines, *_further(pattern)]


def layer_line(name: str, layer: Layer) -> str:
    """One layer: lattice constant, strains, mosaic spread."""
    high, low = layer.principal_strains
    error = float(layer.strain_error.max())
    mosaic = "mosaic spread not known (the peaks have no widths)"
    if layer.mosaic_deg is not None:
        mosaic = f"mosaic spread {layer.mosaic_deg:.2f} ± {layer.mosaic_error_deg:.2f} degrees"
    return (
        f"{name}: a = {layer.lattice_angstrom:.4f} ± {layer.lattice_error_angstrom:.4f} angstrom, principal strains "
        f"{percent(high, 2, sign=True)} and {percent(low, 2, sign=True)} (± {percent(error, 2)}) "
        f"of {layer.nominal_angstrom:g}, {len(layer.peaks)} peaks, "
        f"brightness {layer.brightness:.2f}, {mosaic}"
    )


def _further(pattern: IndexedPattern) -> list[str]:
    lines = []
    if pattern.scale is not None:
        lines.append(
            f"scale of q: {pattern.scale:.4f} times as stated, at which the mean lattice constant is the known one"
        )
    if pattern.moire_angstrom is not None and pattern.moire_error_angstrom is not None:
        lines.append(f"moire pattern: {with_error(pattern.moire_angstrom, pattern.moire_error_angstrom)} angstrom")
    if len(pattern.satellites):
        share = (
            ""
            if pattern.satellite_share is None
            else f", {percent(pattern.satellite_share, 1)} of their spots' intensity"
        )
        lines.append(f"moire satellites: {len(pattern.satellites)} peaks{share}")
    lines += [
        f"further domain at {domain.direction_deg:.2f} degrees, brightness {domain.brightness:.2f}"
        for domain in pattern.domains
    ]
    if len(pattern.unexplained):
        lines.append(f"of unknown origin: {len(pattern.unexplained)} peaks")
    return lines


def campaign_lines(comparison: Comparison) -> list[str]:
    """The closest results, and the way to each target."""
    if comparison.twist_deg is None:
        return []
    if not comparison.closest:
        return ["no result has lattices to compare with yet"]
    lines = ["closest results (distance between patterns, in inverse angstrom):"]
    lines += [f"  {_similar(one)}" for one in comparison.closest]
    start = comparison.closest[0].result.candidate.parameters
    return lines + [line for toward in comparison.toward for line in toward_lines(toward, start)]


def _similar(one: Similar) -> str:
    candidate = one.result.candidate
    return (
        f"{candidate.candidate_id}: {one.distance:.4f} ± {one.sigma:.4f}, twist {one.result.twist_deg:.2f} degrees, "
        f"{named_values(candidate.parameters)}"
    )


def toward_lines(toward: Toward, start: Mapping[str, float]) -> list[str]:
    """How far the pattern is from a target, which recipe has hit it, and where the model expects it."""
    target = toward.target
    head = f"target {target.twist_deg:g} ± {target.tolerance_deg:g} degrees: "
    if toward.probability_within > 0.5:
        return [head + f"the pattern is there, with a probability of {percent(toward.probability_within)}"]
    lines = [head + f"the pattern is {abs(toward.off_deg):.2f} degrees {'above' if toward.off_deg > 0 else 'below'}"]
    if toward.recipe is not None:
        again, (low, high) = toward.recipe.again, toward.recipe.again.interval
        repeated = f"{again.hits} of {again.trials} repeats hit ({percent(low)} to {percent(high)})"
        values = named_values(toward.recipe.result.candidate.parameters)
        record = repeated if again.trials else "not repeated"
        lines.append(f"  a recipe that hit: {toward.recipe.recipe_id}, {values}, {record}")
    return [*lines, f"  {_advice(toward, start)}"]


def _advice(toward: Toward, start: Mapping[str, float]) -> str:
    advice = toward.advice
    if advice.probability is None or advice.twist_deg is None:
        return f"no advice from the model: {advice.reason}"
    changes = ", ".join(f"{name} {old:.4g} to {new:.4g}" for name, (old, new) in change_of(toward, start).items())
    return (
        f"by the model: change {changes}; a run there hits with a probability of {percent(advice.probability)} "
        f"(anywhere: {percent(advice.ordinary)}), its twist is expected at "
        f"{advice.twist_deg:.1f} ± {advice.sigma_deg:.1f} degrees"
    )


def named_values(parameters: Mapping[str, float]) -> str:
    """Values by name, for one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in parameters.items())
