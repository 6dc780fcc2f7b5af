"""Whole runs of an earlier campaign are read from its trajectories.parquet; what is wrong with a file is named."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from moireloop.figures.files import write_early_end_figure
from moireloop.results.trajectories import trajectories_table
from moireloop_analyzer.checks import early_end_problems, early_end_warnings
from moireloop_analyzer.settings import EarlyEndSettings, LearntPolicy
from moireloop_analyzer.settling import earlier
from moireloop_analyzer.settling.earlier import EarlierUnusable, earlier_runs, problem_of, series_in, whole_runs_in
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series, SeriesPoint
from tests.unit.settling.made_up import EVERY, FRAMES, TOLERANCE_DEG, series


def table_of(runs: int, *, cut: int = 0) -> pyarrow.Table:
    """So many runs, the first `cut` of them ended after half of their frames."""
    found = [Series(f"c{number:05d}", 1, series(number)) for number in range(runs)]
    halves = [Series(one.candidate_id, 1, [*one.points[: FRAMES // 2 - 1], half(one)]) for one in found[:cut]]
    return trajectories_table([*halves, *found[cut:]])


def half(run: Series) -> SeriesPoint:
    return run.points[FRAMES // 2 - 1]._replace(final=True)


def written(table: pyarrow.Table, folder: Path) -> Path:
    path = folder / "trajectories.parquet"
    pyarrow.parquet.write_table(table, path)
    return path


def test_whole_runs_of_a_campaign(tmp_path: Path) -> None:
    """Runs that were ended early have no end to learn from. Names do not collide with the present campaign's."""
    path = written(table_of(5, cut=2), tmp_path)
    runs = whole_runs_in(path, TOLERANCE_DEG)
    assert [run.candidate_id for run in runs] == [f"{path}:c{number:05d}" for number in (2, 3, 4)]
    assert [run.final_deg for run in runs] == [series(number)[-1].twist_deg for number in (2, 3, 4)]
    assert len(series_in(path)) == 5
    assert series_in(path)[4].points == series(4)
    assert problem_of(path) is None


def test_newest_runs_of_a_large_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as an analyzer learns from."""
    monkeypatch.setattr(earlier, "RUNS_KEPT", 2)
    runs = whole_runs_in(written(table_of(5), tmp_path), TOLERANCE_DEG)
    assert [run.candidate_id[-6:] for run in runs] == ["c00003", "c00004"]


def without(column: str) -> pyarrow.Table:
    return table_of(2).drop_columns([column])


def with_texts(column: str) -> pyarrow.Table:
    table = table_of(2)
    return table.set_column(table.schema.get_field_index(column), column, pyarrow.array(["x"] * table.num_rows))


def with_nulls(column: str) -> pyarrow.Table:
    table = table_of(2)
    nulls = pyarrow.nulls(table.num_rows, pyarrow.int64())
    return table.set_column(table.schema.get_field_index(column), column, nulls)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (without("final"), "expected the column final in FILE"),
        (with_texts("step"), "expected step in FILE to be int64, got string"),
        (with_nulls("step"), f"expected a value of step in each row of FILE, got {2 * FRAMES} without"),
        (table_of(2, cut=2), "expected whole runs in FILE, got none"),
        (table_of(0), "expected whole runs in FILE, got none"),
    ],
)
def test_file_that_teaches_nothing(table: pyarrow.Table, message: str, tmp_path: Path) -> None:
    """One line that names the file and what to give instead."""
    path = written(table, tmp_path)
    problem = problem_of(path)
    assert problem is not None
    assert problem.startswith(message.replace("FILE", str(path)))
    assert problem.endswith("name the trajectories.parquet of a campaign whose runs went to their full end")
    assert "\n" not in problem


def test_file_that_is_gone_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The runs of the others are learnt from, and drawn; the log names the file."""
    path = written(table_of(3), tmp_path)
    policy = LearntPolicy(earlier=(tmp_path / "gone", path))
    assert len(earlier_runs(policy)) == 3
    assert f"expected a readable file, got {tmp_path / 'gone'}" in caplog.text


def test_figure_shows_what_is_learnt_from(tmp_path: Path) -> None:
    """A campaign without a whole run is drawn by the runs of the earlier one."""
    path = written(table_of(60), tmp_path)
    folder = CampaignFolder(tmp_path / "later.campaign")
    folder.early_end_figure.parent.mkdir(parents=True)
    alone = write_early_end_figure(folder, [], [], {}, LearntPolicy()).read_bytes()
    after = write_early_end_figure(folder, [], [], {}, LearntPolicy(level=0.7, earlier=(path,))).read_bytes()
    assert len(after) > 2 * len(alone)


def test_file_that_is_none(tmp_path: Path) -> None:
    """Absent, a folder, text, empty: each is named."""
    (tmp_path / "text").write_text("candidate_id,step\n")
    (tmp_path / "empty").touch()
    for name, message in {
        "absent": "expected a readable file",
        ".": "expected a readable file",
        "text": "expected a Parquet file",
        "empty": "expected a Parquet file",
    }.items():
        path = tmp_path / name
        assert (problem_of(path) or "").startswith(f"{message}, got {path}")
        with pytest.raises(EarlierUnusable, match=message):
            whole_runs_in(path, TOLERANCE_DEG)


def test_problems_of_a_campaign_file(tmp_path: Path) -> None:
    """The key of each file that is wrong. With earlier runs a small budget is no reason to warn."""
    good = written(table_of(2), tmp_path)
    policies = EarlyEndSettings(learnt=LearntPolicy(earlier=(good, tmp_path / "absent")))
    problems = early_end_problems(policies, FRAMES * EVERY, EVERY)
    assert [problem.key for problem in problems] == ["early_end.learnt.earlier[1]"]
    assert early_end_warnings(policies, 10) == []
