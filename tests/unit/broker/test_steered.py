"""What requests make of targets, space and budget."""

from __future__ import annotations

from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.steered import Steered, targets_of, wanted_of
from moireloop_broker.contract.steering import (
    ChangeBudgetRequest,
    ChangeSpaceRequest,
    NoteRequest,
    RetargetRequest,
    WantedTwist,
)

SPACE = SearchSpace.model_validate({"temperature_k": [1000.0, 3000.0], "shear_strain": [0.0, 0.2]})


def test_last_request_counts_and_the_rest_stays() -> None:
    """Bounds and budget change by their parts; targets are replaced as a whole."""
    steered = (
        Steered()
        .after(RetargetRequest(targets=[WantedTwist(twist_deg=5.0)]))
        .after(RetargetRequest(targets=[WantedTwist(twist_deg=8.0, tolerance_deg=0.2)]))
        .after(ChangeSpaceRequest(space={"temperature_k": [1500.0, 2000.0]}))
        .after(ChangeBudgetRequest(results=9))
        .after(ChangeBudgetRequest(wall_time_s=60.0))
        .after(NoteRequest(text="nothing of it"))
    )
    assert steered.targets == (Target(twist_deg=8.0, tolerance_deg=0.2),)
    assert steered.space(SPACE).root == {"temperature_k": [1500.0, 2000.0], "shear_strain": [0.0, 0.2]}
    assert list(steered.space(SPACE).names) == list(SPACE.names)
    assert steered.budget(BudgetSettings(results=40)) == BudgetSettings(results=9, wall_time_s=60.0)


def test_nothing_asked_changes_nothing() -> None:
    """Space and budget are then the very ones of the file."""
    budget = BudgetSettings(results=40)
    assert (Steered().targets, Steered().space(SPACE), Steered().budget(budget)) == (None, SPACE, budget)


def test_targets_there_and_back() -> None:
    """Requests and campaign files have the same targets in two forms."""
    targets = (Target(twist_deg=5.0), Target(twist_deg=8.0, tolerance_deg=0.1))
    assert targets_of(wanted_of(targets)) == targets
