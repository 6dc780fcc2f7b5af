"""The growth script of examples/, run with the campaign file of its tutorial."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.running import RunningCampaign
from tests.system.test_command_line import moireloop

EXAMPLES = Path(__file__).parents[2] / "examples"
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "own-input.md"

pytestmark = pytest.mark.timeout(240)


def test_campaign_with_a_users_script(campaign: Callable[..., RunningCampaign], tmp_path: Path) -> None:
    """Twists are measured, the runs follow the script, and a resumed campaign keeps to the script that it had."""
    running = campaign()
    shutil.copytree(EXAMPLES / "script", tmp_path / "script")
    (text,) = re.findall(r'^```toml title="own.toml"\n(.*?)^```$', TUTORIAL.read_text(encoding="utf-8"), re.M | re.S)
    running.file.write_text(text.replace("count = 2", "count = 2\noversubscribe = true"), encoding="utf-8")
    running.start(figures=True)
    code, output = running.end()
    assert code == 0, output
    results = [result for result in running.results_of_log() if result.outcome != "cancelled"]
    assert len(results) == 4
    assert all(result.report is not None and result.report.steps == 6500 for result in results)
    twists = [result.twist_deg for result in results if result.twist_deg is not None]
    assert len(twists) >= 2, [result.reason for result in results]
    assert list((running.folder / "figures").glob("bilayer-*.png"))
    assert_logs_show_the_script(running.folder)
    assert_script_cannot_change(running)


def assert_logs_show_the_script(folder: Path) -> None:
    """Each run gave LAMMPS the script's commands with its own numbers."""
    logs = [log.read_text(encoding="utf-8") for log in folder.glob("runs/*/attempt-*/log.lammps")]
    heats = {line for log in logs for line in log.splitlines() if line.startswith("fix             heat all langevin")}
    assert len(heats) == 3 * len(logs)
    assert not any("{{" in log for log in logs)


def assert_script_cannot_change(running: RunningCampaign) -> None:
    """Resuming with an edited script is refused; the copy of the first one lies in the folder."""
    script = running.file.parent / "script" / "growth.in"
    assert (running.folder / "script" / "growth.in").read_bytes() == script.read_bytes()
    script.write_text(script.read_text(encoding="utf-8").replace("mass            * 160", "mass            * 150"))
    running.file.write_text(running.file.read_text(encoding="utf-8").replace("results = 4", "results = 5"))
    ended = moireloop("resume", running.file)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "growth.file: expected the one with which the campaign was started" in ended.stderr
