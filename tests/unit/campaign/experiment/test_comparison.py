"""A pattern beside results: which are most like it, how far the target is, and when the model has advice."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from moireloop.experiment.comparing import compare
from moireloop.experiment.comparison import change_of, compare_peaks, lattices_of
from moireloop.experiment.lines import campaign_lines, pattern_lines
from moireloop.experiment.refused import PatternRefused
from moireloop.figures.pattern import pattern_figure, write_pattern_figure
from moireloop_analyzer.patterns.peaks import peaks_of
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import SearchSpace, Target
from tests.helpers.grown import grown
from tests.helpers.patterns import Made, made

A = 3.16
SPACE = SearchSpace({"temperature_k": [1500.0, 4500.0], "shear_strain": [0.0, 0.3]})


def places(count: int, rng: np.random.Generator) -> list[dict[str, float]]:
    return [
        {"temperature_k": float(rng.uniform(1500, 4500)), "shear_strain": float(rng.uniform(0, 0.3))}
        for _ in range(count)
    ]


def orderly(count: int, rng: np.random.Generator) -> list[Result]:
    """Results whose twist grows with the shear, and whose temperature says nothing."""
    found = []
    for number in range(count):
        shear = float(rng.uniform(0.0, 0.3))
        parameters = {"temperature_k": float(rng.uniform(1500, 4500)), "shear_strain": shear}
        found.append(grown(number, 4.0 + 60.0 * shear + float(rng.normal(0, 0.2)), parameters))
    return found


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(41)


@pytest.fixture
def pattern(rng: np.random.Generator) -> Made:
    return made(rng, twist_deg=8.3, weak=0.3, missing=0.2, spurious=5, satellites=0.05)


def test_the_most_similar_results_come_first(pattern: Made) -> None:
    """By twist and by strain, each recipe once, with an error; a mirror image is as near."""
    at = [{"temperature_k": 2000.0 + 100 * n, "shear_strain": 0.1} for n in range(6)]
    twists = (21.0, 8.3, -8.35, 9.5, 8.3)
    results = [grown(n, abs(t), at[n]) for n, t in enumerate(twists[:4])]
    results += [grown(4, 8.3, at[4], strain=0.02), grown(5, 8.31, at[1])]
    found = compare_peaks(pattern.peaks, results, [Target(twist_deg=12.0)], SPACE, lattices=(A, A))
    assert [one.result.candidate.candidate_id for one in found.closest][:2] == ["c0001", "c0002"]
    assert len(found.closest) == 5
    assert [one.distance for one in found.closest] == sorted(one.distance for one in found.closest)
    assert found.closest[0].distance < 0.01
    assert 0.0 < found.closest[0].sigma < 0.01
    assert found.closest[-1].distance > 0.2


def test_the_model_advises_where_it_predicts(pattern: Made, rng: np.random.Generator) -> None:
    """A twist that grows with shear: the shear that gives the target, with a probability and an error."""
    found = compare_peaks(pattern.peaks, orderly(40, rng), [Target(twist_deg=16.0, tolerance_deg=1.0)], SPACE)
    toward = found.toward[0]
    advice = toward.advice
    assert advice.reason is None
    assert advice.parameters is not None
    assert 4.0 + 60.0 * advice.parameters["shear_strain"] == pytest.approx(16.0, abs=1.0)
    assert advice.probability is not None
    assert advice.ordinary is not None
    assert advice.probability > 2 * advice.ordinary
    assert advice.sigma_deg is not None
    assert advice.twist_deg == pytest.approx(16.0, abs=3 * advice.sigma_deg)
    start = found.closest[0].result.candidate.parameters
    old, new = change_of(toward, start)["shear_strain"]
    assert (old, new) == (start["shear_strain"], advice.parameters["shear_strain"])
    assert toward.off_deg == pytest.approx(-7.7, abs=0.1)
    assert any("by the model: change" in line for line in campaign_lines(found))


def test_the_model_is_silent_where_it_knows_nothing(pattern: Made, rng: np.random.Generator) -> None:
    """Too few results, or twists that have nothing to do with the parameters: a reason and no number."""
    wild = [grown(n, float(rng.uniform(0, 30)), place) for n, place in enumerate(places(40, rng))]
    for results, words in ((orderly(5, rng), "at least 8 results"), (wild, "no")):
        advice = compare_peaks(pattern.peaks, results, [Target(twist_deg=16.0)], SPACE).toward[0].advice
        assert advice.parameters is None
        assert advice.probability is None
        assert words in str(advice.reason)


def test_the_target_may_be_there_already(pattern: Made, rng: np.random.Generator) -> None:
    """With the probability that the error of the twist leaves."""
    found = compare_peaks(pattern.peaks, orderly(3, rng), [Target(twist_deg=8.2, tolerance_deg=0.5)], SPACE)
    assert found.toward[0].probability_within > 0.99
    assert any("the pattern is there" in line for line in campaign_lines(found))


def test_a_refused_pattern_is_compared_with_nothing(rng: np.random.Generator) -> None:
    """And says why."""
    found = compare_peaks(peaks_of(rng.uniform(2, 4, (20, 2)), sigma=0.003), orderly(9, rng), [], SPACE)
    assert found.closest == ()
    assert found.twist_deg is None
    assert pattern_lines(found) == [f"20 peaks: no twist: {found.reason}"]
    assert campaign_lines(found) == []


def test_lattices_come_from_results_or_are_asked_for(pattern: Made, rng: np.random.Generator) -> None:
    """Medians; a line that says what to give where there are none, or where they are wrong."""
    assert lattices_of(orderly(3, rng)) == (A, A)
    with pytest.raises(PatternRefused, match=r"such as 3\.16,3\.16"):
        compare_peaks(pattern.peaks, [], [], SPACE)
    with pytest.raises(PatternRefused, match="lattice constants from 1 to 20"):
        compare_peaks(pattern.peaks, [], [], SPACE, lattices=(0.0, math.nan))
    with pytest.raises(PatternRefused, match="largest strain"):
        compare_peaks(pattern.peaks, [], [], SPACE, lattices=(A, A), max_strain=0.5)


def test_arrows_show_the_twist(pattern: Made) -> None:
    """One arrow for each layer: the angle between them is the twist, not 60 degrees less it."""
    figure = pattern_figure(compare_peaks(pattern.peaks, [], [], SPACE, lattices=(A, A)), "p.csv")
    first, second = (math.degrees(math.atan2(text.xy[1], text.xy[0])) for text in figure.axes[0].texts)  # type: ignore[attr-defined]
    assert abs(first - second) == pytest.approx(8.3, abs=0.1)


def test_a_file_is_compared_and_drawn(pattern: Made, rng: np.random.Generator, tmp_path: Path) -> None:
    """Both kinds of picture, also of a pattern that was refused."""
    peaks = pattern.peaks
    rows = "\n".join(
        f"{x},{y},{i},{s}" for (x, y), i, s in zip(peaks.q, peaks.intensity, peaks.sigma_radial, strict=True)
    )
    path = tmp_path / "p.csv"
    path.write_text(f"q_x_per_angstrom,q_y_per_angstrom,intensity,sigma_q_per_angstrom\n{rows}\n")
    found = compare(path, orderly(3, rng), [], SPACE, lattices=(A, A), closest=2)
    assert found.twist_deg == pytest.approx(8.3, abs=0.1)
    assert len(found.closest) == 2
    refused = compare_peaks(peaks_of(rng.uniform(2, 4, (5, 2))), [], [], SPACE, lattices=(A, A))
    for number, each in enumerate((found, refused)):
        for suffix in (".png", ".svg"):
            place = tmp_path / f"picture{number}{suffix}"
            write_pattern_figure(each, "p.csv", place)
            assert place.stat().st_size > 5000
