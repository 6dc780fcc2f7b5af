"""An analyzer of somebody else's package in a real campaign: the example of docs/analyzers.md, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.helpers.installed import install
from tests.system.running import RunningCampaign

PAGE = (Path(__file__).parents[2] / "docs" / "analyzers.md").read_text(encoding="utf-8")
GROUP = "moireloop.analyzers"

pytestmark = pytest.mark.timeout(240)


def blocks(language: str) -> list[str]:
    """The code blocks of one language on the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_example_of_the_page_runs(
    campaign: Callable[..., RunningCampaign], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed as a package, named in the campaign file: its numbers are columns of results, its arrays in the log."""
    project = tomllib.loads(blocks("toml")[0])["project"]
    folder = install(tmp_path / "packages", project["name"], blocks("python")[0], project["entry-points"][GROUP])
    monkeypatch.setenv("PYTHONPATH", str(folder))
    running = campaign(results=4)
    running.file.write_text(f"{running.file.read_text()}\n{blocks('toml')[1]}")
    running.start()
    code, output = running.end()
    assert code == 0, output
    running.assert_exactly_one_result_each(4)
    for result in running.results_of_log():
        found = result.analyses["heights"]
        assert found.reason is None
        assert found.numbers["spacing_angstrom"] == pytest.approx(6.3, abs=1.0)
        assert {name: array.shape for name, array in found.arrays.items()} == {
            "height_angstrom": [20],
            "atoms_count": [20],
        }
        assert sum(found.arrays["atoms_count"].values) == 64
    table = pyarrow.parquet.read_table(running.folder / "results.parquet")
    assert min(table["heights.roughness_angstrom"].to_pylist()) > 0
    (running.folder.parent / "mine.campaign").symlink_to(running.folder)
    read = [sys.executable, "-c", blocks("python")[1]]
    done = subprocess.run(
        read, cwd=running.folder.parent, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert done.count("heights height_angstrom [") == done.count("heights atoms_count [") == 4
    final = next(running.folder.glob("runs/*/attempt-*/final.extxyz"))
    offline = blocks("python")[3].replace("runs/c00000/attempt-1", str(final.parent.relative_to(running.folder)))
    read = [sys.executable, "-c", offline]
    done = subprocess.run(
        read, cwd=running.folder.parent, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert done.startswith("Analysis(numbers=mappingproxy({'spacing_angstrom': ")


def test_analyzer_that_fails_is_reported(
    campaign: Callable[..., RunningCampaign], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the end of the command, by the results, and by `status`; the snippet for a running campaign holds."""
    module = "def heights(snapshot):\n    return 1 / (snapshot.step == 0)\n"
    folder = install(tmp_path / "packages", "broken", module, {"heights": "broken:heights"})
    monkeypatch.setenv("PYTHONPATH", str(folder))
    running = campaign(results=4, steps=(6000, 6000))
    running.file.write_text(f"{running.file.read_text()}\n{blocks('toml')[1]}")
    running.start()
    running.wait_for_results(1)
    (running.folder.parent / "mine.campaign").symlink_to(running.folder)
    read = [sys.executable, "-c", blocks("python")[2]]
    done = subprocess.run(
        read, cwd=running.folder.parent, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert "{} ZeroDivisionError: division by zero None" in done
    code, output = running.end()
    assert code == 0, output
    line = "analyses failed: heights 4 of 4 (ZeroDivisionError: division by zero)"
    assert line in output.splitlines()
    table = pyarrow.parquet.read_table(running.folder / "results.parquet")
    assert set(table["heights.reason"].to_pylist()) == {"ZeroDivisionError: division by zero"}
    running.start("status")
    assert line in running.end()[1]


def test_those_that_come_with_moireloop_run(campaign: Callable[..., RunningCampaign]) -> None:
    """Pair correlation and diffraction of the final frame are in the result and in a figure of the best run."""
    running = campaign(results=4)
    named = '[analyzers]\nanalyses = ["pair_correlation", "diffraction"]'
    running.file.write_text(f"{running.file.read_text()}\n{named}\n")
    running.start(figures=True)
    code, output = running.end()
    assert code == 0, output
    measured = next(result for result in running.results_of_log() if result.twist_deg is not None)
    structure, pattern = (measured.analyses[name] for name in ("pair_correlation", "diffraction"))
    assert 3.0 < structure.numbers["first_peak_angstrom"] < 3.6
    assert structure.numbers["metals_around_metal"] == pytest.approx(6.0, abs=1.0)
    assert pattern.numbers["unknown_element_share"] == 1.0
    assert pattern.arrays["lower_spots"].shape == [18, 4]
    assert len(list((running.folder / "figures").glob("run-*.png"))) == 1
    assert len(list((running.folder / "figures").glob("structure-*.png"))) == 1


def test_missing_analyzer_is_reported_before_anything_starts(
    campaign: Callable[..., RunningCampaign],
) -> None:
    """One line with the key and the name, exit code 2, no folder."""
    running = campaign(results=4)
    running.file.write_text(f"{running.file.read_text()}\n{blocks('toml')[1]}")
    running.start("validate")
    code, output = running.end()
    assert code == 2
    assert "analyzers.analyses[0]: expected an analyzer that is installed, got 'heights'; " in output
    assert not running.folder.exists()


def test_validate_tries_each_analyzer(
    campaign: Callable[..., RunningCampaign], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that raises, hangs or dies on a small bilayer is a warning that says how; one that works is not mentioned."""
    module = (
        "import os, time\nfrom moireloop_analyzer import Analysis\n"
        "def fine(snapshot):\n    return Analysis()\n"
        "def raises(snapshot):\n    raise ValueError('no')\n"
        "def hangs(snapshot):\n    time.sleep(60)\n"
        "def dies(snapshot):\n    os.abort()\n"
    )
    names = ("fine", "raises", "hangs", "dies")
    folder = install(tmp_path / "packages", "somebodys", module, {name: f"somebodys:{name}" for name in names})
    monkeypatch.setenv("PYTHONPATH", str(folder))
    running = campaign(results=4)
    running.file.write_text(f"{running.file.read_text()}\n[analyzers]\nanalyses = {list(names)}\nanalysis_s = 4.0\n")
    running.start("validate")
    code, output = running.end()
    assert code == 0
    assert [line for line in output.splitlines() if line.startswith("warning: analyzer")] == [
        "warning: analyzer 'raises' fails on a small bilayer: ValueError: no",
        "warning: analyzer 'hangs' fails on a small bilayer: it did not finish within 4 s",
        "warning: analyzer 'dies' fails on a small bilayer: its process was lost: killed by SIGABRT",
    ]
