"""Recipes: their runs, how they are ranked, and which are alike."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from moireloop.results.recipes import (
    Recipe,
    best_recipes,
    cluster_name,
    cluster_sizes,
    clusters_first,
    clusters_of,
    recipe_runs,
    recipes_of,
)
from moireloop.results.table import results_table
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from tests.unit.campaign.conftest import MakeResult, result

NEAR = Target(twist_deg=8.2, tolerance_deg=0.3)
FAR = Target(twist_deg=21.8, tolerance_deg=0.5)
BOUNDS = {"temperature_k": (1500.0, 4500.0), "lattice_strain": (0.0, 0.05)}


def at(temperature_k: float, lattice_strain: float = 0.01) -> dict[str, float]:
    return {"temperature_k": temperature_k, "lattice_strain": lattice_strain}


def several(make_result: MakeResult, *runs: tuple[float, float | None]) -> list[Result]:
    """Results in this order, each a temperature and a twist, with different seeds."""
    return [
        make_result(number, twist_deg=twist_deg, parameters=at(temperature_k))
        for number, (temperature_k, twist_deg) in enumerate(runs, 1)
    ]


def ids(recipes: list[Recipe]) -> list[str]:
    return [recipe.recipe_id for recipe in recipes]


def test_recipes_of_one_run_go_by_their_regret(make_result: MakeResult) -> None:
    """Equals by uncertainty; refused ones are no recipes."""
    results = [
        make_result(1, twist_deg=8.45),
        make_result(2, twist_deg=8.1, sigma_deg=0.4),
        make_result(3),
        make_result(4, twist_deg=8.3, sigma_deg=0.1),
        make_result(5, twist_deg=0.0),
    ]
    recipes = best_recipes(results, NEAR, 3)
    assert ids(recipes) == ["c-0004", "c-0002", "c-0001"]
    assert [recipe.within_tolerance for recipe in recipes] == [True, True, True]
    assert not best_recipes(results, FAR, 1)[0].within_tolerance


def test_a_recipe_is_all_runs_of_its_parameters(make_result: MakeResult) -> None:
    """Its twist is the median of its hits, its run the nearest one; a refused run is a miss, failed ones nothing."""
    results = several(
        make_result, (2000, 16.3), (2000, 8.4), (2000, 8.25), (3000, 2.8), (2000, None), (2000, 8.3), (2000, 0.0)
    )
    results += [
        make_result(number, outcome=outcome, parameters=at(2000))
        for number, outcome in ((8, "failed"), (9, "cancelled"))
    ]
    recipe = best_recipes(results, NEAR, 1)[0]
    assert (recipe.recipe_id, len(recipe.runs), recipe.hits) == ("c-0001", 6, 3)
    assert recipe.twist_deg == 8.3
    assert recipe.regret_deg == pytest.approx(0.1)
    assert recipe.result.candidate.candidate_id == "c-0003"
    assert (recipe.again.hits, recipe.again.trials) == (2, 4)


def test_rounding_does_not_part_a_recipe(make_result: MakeResult) -> None:
    """The way through the unit cube changes the last digits."""
    low, high = BOUNDS["temperature_k"]
    there_and_back = low + (2371.3 - low) / (high - low) * (high - low)
    results = several(make_result, (2371.3, 8.2), (there_and_back, 8.2), (np.nextafter(2371.3, 0), 8.2), (2371.4, 8.2))
    assert [len(recipe.runs) for recipe in best_recipes(results, NEAR, 5)] == [3, 1]


def test_a_run_with_a_known_seed_is_not_evidence(make_result: MakeResult) -> None:
    """The same parameters and the same seed are the same run once more."""
    results = [make_result(number, twist_deg=8.2, parameters=at(2000), seed=0) for number in (1, 2, 3)]
    recipe = best_recipes(results, NEAR, 1)[0]
    assert (len(recipe.runs), recipe.again.trials) == (1, 0)


def test_recipes_are_ranked_by_what_is_sure(make_result: MakeResult) -> None:
    """Four of four before three of four, then what was not repeated, then what was in vain, last what never hit."""
    runs: list[tuple[float, float | None]] = [
        (1600, 8.2), (1700, 8.2), (1800, 8.45), (1900, 8.45), (2000, 8.7),
        *[(1600, 8.2), (1600, None)], *[(1700, 0.0)] * 2,
        *[(1800, 8.45)] * 3, (1800, 2.8), *[(1900, 8.45)] * 4,
    ]  # fmt: skip
    results = [*several(make_result, *runs), make_result(90, twist_deg=8.45, parameters=at(2100))]
    assert ids(best_recipes(results, NEAR, 9)) == ["c-0004", "c-0003", "c-0001", "c-0090", "c-0002", "c-0005"]


@settings(deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 6))
def test_the_first_few_are_those_of_all(seed: int, n: int) -> None:
    """Asked for n, the same come as when all were ranked."""
    random = np.random.default_rng(seed)
    results = [
        result(
            number, twist_deg=float(random.choice([8.2, 8.3, 8.1, 9.0, 16.3])), parameters=at(float(random.integers(8)))
        )
        for number in range(random.integers(20))
    ]
    ran = recipe_runs(results)
    assert ids(recipes_of(ran, NEAR, n=n)) == ids(recipes_of(ran, NEAR))[:n]


def test_recipe_that_never_hit_shows_its_nearest_run(make_result: MakeResult) -> None:
    """Not the median, which may lie on the target where no run ever was."""
    recipe = best_recipes(several(make_result, (2000, 0.0), (2000, 8.6), (2000, 16.4)), NEAR, 1)[0]
    assert (recipe.twist_deg, recipe.hits, recipe.again.trials) == (8.6, 0, 0)


def test_clusters_are_recipes_that_lie_close_together(make_result: MakeResult) -> None:
    """Two kinds of recipes for one target, the best kind named A; what never hit is in none."""
    runs: list[tuple[float, float | None]] = [
        (1600, 8.3), (1700, 8.3), (4000, 8.2), (4100, 8.4), (4200, 8.4), (4300, 2.8),
    ]  # fmt: skip
    results = several(make_result, *runs, (1700, 8.3))
    recipes = recipes_of(recipe_runs(results), NEAR, BOUNDS)
    assert [(recipe.recipe_id, recipe.cluster) for recipe in recipes] == [
        ("c-0002", "A"), ("c-0003", "B"), ("c-0001", "A"), ("c-0004", "B"), ("c-0005", "B"), ("c-0006", ""),
    ]  # fmt: skip
    assert ids(clusters_first(recipes)) == ["c-0002", "c-0003", "c-0001", "c-0004", "c-0005", "c-0006"]
    sizes, counts = cluster_sizes(recipes)
    assert (sizes, counts) == ({"A": 2, "B": 3}, {"A": 3, "B": 3})


def test_best_of_each_cluster_comes_first(make_result: MakeResult) -> None:
    """Also where the other recipes of a cluster rank higher than another cluster's best."""
    results = several(make_result, (1600, 8.2), (1700, 8.21), (1800, 8.22), (4000, 8.4))
    recipes = clusters_first(recipes_of(recipe_runs(results), NEAR, BOUNDS))
    assert ids(recipes) == ["c-0001", "c-0004", "c-0002", "c-0003"]


@settings(deadline=None)
@given(st.integers(0, 2**16), st.integers(0, 40), st.floats(0.05, 0.6))
def test_a_cluster_fits_into_a_cube(seed: int, count: int, side: float) -> None:
    """No two of its points differ by more than the side in any coordinate; clusters count up from the first point."""
    points = np.random.default_rng(seed).random((count, 3))
    label = clusters_of(points, side)
    for number in np.unique(label):
        assert pdist(points[label == number], "chebyshev").max(initial=0.0) <= side
    assert list(dict.fromkeys(label.tolist())) == list(range(len(np.unique(label))))


def test_two_blobs_are_two_clusters() -> None:
    """Of synthetic recipes around two points, all of a blob are together."""
    random = np.random.default_rng(2)
    blobs = np.concatenate([centre + random.uniform(-0.1, 0.1, (30, 3)) for centre in (0.2, 0.8)])
    assert clusters_of(blobs).tolist() == [0] * 30 + [1] * 30


@pytest.mark.parametrize(("number", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (53, "BB")])
def test_names_of_clusters_go_on_after_z(number: int, name: str) -> None:
    """As columns of a spreadsheet."""
    assert cluster_name(number) == name


def test_table_has_the_recipe_of_each_run(make_result: MakeResult) -> None:
    """For the target that the recipe hit most, also where its other runs came near another one, or had no twist."""
    results = [
        *several(make_result, (2000, 8.2), (2000, 21.8), (2000, 8.3), (2000, None), (3000, 21.0)),
        make_result(6, outcome="failed", parameters=at(2000)),
        make_result(7, parameters=at(3500)),
    ]
    rows = results_table(results, [FAR, NEAR], BOUNDS).to_pylist()
    assert [row["recipe"] for row in rows] == [*["c-0001"] * 4, "c-0005", None, None]
    assert [row["recipe_target_deg"] for row in rows] == [*[8.2] * 4, 21.8, None, None]
    assert [(row["runs"], row["hits"]) for row in rows[:5]] == [*[(4, 2)] * 4, (1, 0)]
    assert [row["hit_probability"] for row in rows] == [*[pytest.approx(1 / 3)] * 4, *[None] * 3]
    assert rows[0]["hit_low"] < 1 / 3 < rows[0]["hit_high"]
    assert [row["cluster"] for row in rows] == [*["A"] * 4, *[None] * 3]


def test_thousands_of_results_are_ranked_at_once(make_result: MakeResult) -> None:
    """5000 runs of 2500 recipes, half of which hit, in seconds."""
    random = np.random.default_rng(0)
    results = [
        make_result(
            number,
            twist_deg=float(random.choice([8.2, 16.3])),
            parameters=at(1500 + number % 2500, float(number % 2500) / 5e4),
        )
        for number in range(5000)
    ]
    began_s = time.process_time()
    recipes = recipes_of(recipe_runs(results), NEAR, BOUNDS)
    assert time.process_time() - began_s < 5.0
    assert len(recipes) == 2500


def test_clusters_of_very_many_points_fit_into_their_cube(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points beyond those that are linked join a cluster in which they fit, or begin another."""
    monkeypatch.setattr("moireloop.results.recipes.MOST_LINKED", 50)
    points = np.random.default_rng(3).uniform(size=(400, 3))
    label = clusters_of(points, 0.3)
    assert label[:50].tolist() == clusters_of(points[:50], 0.3).tolist()
    assert sorted(set(label.tolist())) == list(range(label.max() + 1))
    assert all(np.ptp(points[label == number], axis=0).max() <= 0.3 for number in set(label.tolist()))
