"""The files that show single runs: of each target's best, and of those that were named."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest

from moireloop.figures.files import NoSuchRun, write_run_figures
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series
from moireloop_worker.models import growth_model, growth_settings
from tests.unit.campaign.conftest import MakeResult
from tests.unit.campaign.figures.test_bilayer_figure import write_data
from tests.unit.campaign.figures.test_structure_figure import CORRELATION, REFUSED
from tests.unit.campaign.results.test_trajectories import series_of

TARGETS = [Target(twist_deg=8.0)]


def drawn(folder: CampaignFolder, results: list[Result], series: list[Series], *named: str) -> set[str]:
    """Names of the files that are drawn; each shows something."""
    model = growth_model(growth_settings({"model": "mos2-rebo"}))
    paths = write_run_figures(folder, results, series, TARGETS, model, AnalyzerSettings(), named)
    for path in paths:
        assert matplotlib.image.imread(path)[..., :3].std() > 0.02
    return {path.name for path in paths}


@pytest.fixture
def folder(tmp_path: Path) -> CampaignFolder:
    """An empty campaign folder."""
    place = CampaignFolder(tmp_path)
    place.create()
    return place


def with_structure(folder: CampaignFolder, result: Result, cells: int = 6) -> None:
    """Leave a final structure behind, as a run does."""
    path = folder.final_data(result.candidate.candidate_id, result.attempt)
    path.parent.mkdir(parents=True)
    write_data(path, cells)


def test_the_best_of_each_target_is_drawn(make_result: MakeResult, folder: CampaignFolder) -> None:
    """Over time, and from above where it left a structure; the others are not."""
    results = [make_result(1, twist_deg=8.1), make_result(2, twist_deg=20.0)]
    with_structure(folder, results[0])
    found = drawn(folder, results, [series_of("c-0001", [None, 8.1]), series_of("c-0002", [20.0])])
    assert found == {"run-c-0001.png", "bilayer-c-0001.png"}


def test_a_named_run_is_drawn_too(make_result: MakeResult, folder: CampaignFolder) -> None:
    """Also one that was refused, one that failed, and one that has no result yet, each once."""
    results = [make_result(1, twist_deg=8.1), make_result(2), make_result(3, outcome="failed")]
    with_structure(folder, results[1])
    series = [series_of("c-0001", [8.1]), series_of("c-0002", [None, None]), series_of("c-0009", [4.0])]
    found = drawn(folder, results, series, "c-0002", "c-0003", "c-0009", "c-0001")
    assert found == {*(f"run-c-000{number}.png" for number in (1, 2, 3, 9)), "bilayer-c-0002.png"}


def test_what_analyses_found_is_drawn(make_result: MakeResult, folder: CampaignFolder) -> None:
    """Where they were named; without a structure there is no pattern, and the reason stands there."""
    result = make_result(1, twist_deg=8.1).model_copy(
        update={"analyses": {"pair_correlation": CORRELATION, "diffraction": REFUSED}}
    )
    assert drawn(folder, [result], []) == {"run-c-0001.png", "structure-c-0001.png"}
    with_structure(folder, result)
    assert drawn(folder, [result], []) == {"run-c-0001.png", "bilayer-c-0001.png", "structure-c-0001.png"}


def test_a_run_that_there_is_not_is_an_error(make_result: MakeResult, folder: CampaignFolder) -> None:
    """The error names it, and nothing is drawn."""
    with pytest.raises(NoSuchRun, match="got 'c-0007'"):
        drawn(folder, [make_result(1, twist_deg=8.1)], [], "c-0007")
    assert list(folder.figures.iterdir()) == []
