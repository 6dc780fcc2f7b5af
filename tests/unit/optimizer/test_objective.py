"""What results become for the model."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from moireloop_broker.contract.events import Candidate, Result
from moireloop_broker.contract.search import SearchSpace, Target, regret_deg
from moireloop_optimizer.runs import GrowingRuns, Runs, runs_of, toward
from tests.helpers.campaign_events import candidate, result

SPACE = SearchSpace.model_validate({"temperature_k": [1000, 3000], "lattice_strain": [0.0, 0.05]})
TARGET = Target(twist_deg=8.0)


def test_regret_is_the_distance_in_degrees() -> None:
    """On both sides of the target, and the objective is its negative."""
    one = Runs(np.zeros((1, 2)), np.array([7.0]), np.array([np.nan]))
    objective = float(toward(one, TARGET).values[0])
    assert (regret_deg(8.5, TARGET), regret_deg(7.0, TARGET), objective) == (0.5, 1.0, -1.0)


@pytest.mark.parametrize("fields", [{"twist_deg": 31}, {"twist_deg": -1}, {"twist_deg": 8, "tolerance_deg": 0}, {}])
def test_impossible_targets_are_refused(fields: dict[str, float]) -> None:
    """A target lies in [0, 30] degrees and has a tolerance."""
    with pytest.raises(ValidationError):
        Target.model_validate(fields)


def test_measured_results_give_their_place_and_their_negative_regret() -> None:
    """In the order of the log."""
    results = [
        result(candidate("a", temperature_k=1000, strain=0.05), twist_deg=9.0),
        result(candidate("b", temperature_k=2000, strain=0.0), twist_deg=2.0),
    ]
    observed = toward(runs_of(results, SPACE), TARGET)
    np.testing.assert_allclose(observed.points, np.array([[0.0, 1.0], [0.5, 0.0]]))
    np.testing.assert_allclose(observed.values, np.array([-1.0, -6.0]))


def test_refused_results_count_as_the_worst_measured() -> None:
    """A run without a twist tells the model to keep away; failed and cancelled ones tell nothing."""
    results = [
        result(candidate("a"), "refused"),
        result(candidate("b"), twist_deg=9.0),
        result(candidate("c"), twist_deg=20.0),
        result(candidate("d"), "failed"),
        result(candidate("e"), "cancelled"),
    ]
    assert toward(runs_of(results, SPACE), TARGET).values.tolist() == [-12.0, -1.0, -12.0]


def test_refused_results_alone_say_nothing() -> None:
    """Without a measured result there is no worst regret."""
    observed = toward(runs_of([result(candidate("a"), "refused")], SPACE), TARGET)
    assert observed.points.shape == (0, 2)
    assert observed.values.shape == (0,)


def test_a_result_without_a_parameter_of_the_space_is_left_out() -> None:
    """A candidate from outside may lack a parameter."""
    outside = Candidate(candidate_id="x", parameters={"temperature_k": 1500.0}, seed=0, proposed_s=0.0)
    assert len(toward(runs_of([result(outside)], SPACE), TARGET).values) == 0


def test_a_target_is_reached_within_its_tolerance() -> None:
    """The tolerance itself still counts."""
    assert GrowingRuns(SPACE, [result(candidate("a"), twist_deg=8.5)]).has_reached(TARGET)
    assert not GrowingRuns(SPACE, [result(candidate("a"), twist_deg=8.6)]).has_reached(TARGET)
    assert not GrowingRuns(SPACE, [result(candidate("a"), "refused")]).has_reached(TARGET)


def with_vectors(name: str, twist_deg: float, upper: list[float] | None) -> Result:
    """A measured result that tells its cell and lower layer, and perhaps its upper one."""
    vectors = {
        "cell_vectors_angstrom": [38.0, 0.0, 19.0, 33.0],
        "lower_vectors_angstrom": [3.0, 0.0, 1.5, 2.5],
        "upper_vectors_angstrom": upper,
    }
    measured = result(candidate(name), twist_deg=twist_deg)
    assert measured.measurement is not None
    return measured.model_copy(update={"measurement": measured.measurement.model_copy(update=vectors)})


def test_lattices_are_reported_where_all_vectors_are() -> None:
    """Cell, lower and upper layer as rows; NaN for a run without one of them, and for one without a twist."""
    runs = runs_of(
        [
            with_vectors("c1", 5.0, [3.0, 0.5, 1.0, 2.75]),
            with_vectors("c2", 6.0, None),
            result(candidate("c3"), "refused"),
        ],
        SPACE,
    )
    assert runs.lattices is not None
    assert runs.lattices[0].tolist() == [
        [[38.0, 0.0], [19.0, 33.0]],
        [[3.0, 0.0], [1.5, 2.5]],
        [[3.0, 0.5], [1.0, 2.75]],
    ]
    assert np.isnan(runs.lattices[1:]).all()
    assert runs.where([True, False, False]).lattices is not None


def test_there_are_no_lattices_where_no_run_shows_them() -> None:
    """As from the results of scripts without a bilayer, or of an older campaign."""
    assert runs_of([result(candidate("c1")), with_vectors("c2", 6.0, None)], SPACE).lattices is None
