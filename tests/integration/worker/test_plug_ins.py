"""A launcher and a growth model of somebody else's package, found by entry point and used by a real pool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from moireloop.campaign_file.errors import CampaignFileError
from moireloop.campaign_file.load import load_campaign
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.generators.foreign import ForeignStrategy
from moireloop_optimizer.generators.source import generator_class
from moireloop_optimizer.runs import Runs
from tests.helpers.campaign_files import campaign_text
from tests.helpers.installed import install
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import Campaign, alive, family

Make = Callable[..., Campaign]

EXAMPLE = Path(__file__).parents[3] / "examples" / "plugin"
LAUNCHER = (EXAMPLE / "moireloop_example" / "launcher.py").read_text(encoding="utf-8")

MODEL = """
from moireloop_worker.models.noop import Noop
from moireloop_worker.models.settings import NoopSettings


class Sheet(Noop):
    name = "sheet"


def sheet(options):
    if set(options) - {"side"}:
        raise ValueError(f"expected no key but side, got {sorted(options)}")
    side = options.get("side", 8)
    if not isinstance(side, int) or side < 2:
        raise ValueError(f"side: expected an integer of at least 2, got {side!r}")
    return Sheet(NoopSettings(cells=(side, side)))
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both packages, on the path of this process and of those that it starts."""
    folder = tmp_path / "site"
    install(folder, "nicely", LAUNCHER, {"nice": "nicely:NiceLauncher"}, group="moireloop.launchers")
    install(folder, "sheets", MODEL, {"sheet": "sheets:sheet"}, group="moireloop.growth_models")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    return folder


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of examples/, built from a copy and installed as a user does it."""
    shutil.copytree(EXAMPLE, tmp_path / "plugin")
    site = tmp_path / "site"
    install_it = ["pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", *install_it, str(tmp_path / "plugin")], check=True, capture_output=True)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    return tmp_path / "plugin" / "plugin.toml"


def test_package_of_plug_ins_runs(built: Path, make_campaign: Make) -> None:
    """The launcher starts a worker at low priority, and the growth model runs a candidate in LAMMPS."""
    campaign = make_campaign({"model": "soft-beads", "side": 8}, launcher="nice")
    campaign.propose("c0")
    command = [sys.executable, "-m", "moireloop_worker.pool.service", "--connection", str(campaign.file)]
    with subprocess.Popen(command) as pool:
        try:
            (finished,) = campaign.wait_for("run_finished/1")
            pids = family(pool.pid)
            assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in pids - {pool.pid}} == {10}
        finally:
            pool.terminate()
        assert pool.wait(20) == 0
    wait_until(lambda: not alive(pids), "all processes are gone")
    assert finished.report.provenance["model"] == "soft-beads"
    assert finished.report.steps == 6500


def test_campaign_of_plug_ins_passes_all_checks(built: Path) -> None:
    """`validate` calls the analyzer with a small bilayer and makes the strategy; it suggests points of the space."""
    checked = subprocess.run(
        [sys.executable, "-m", "moireloop", "validate", str(built)], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == f"{built}: campaign 'plugin' is valid\n"
    space = SearchSpace({"temperature_k": [1500.0, 4500.0], "shear_strain": [0.0, 0.3]})
    strategy = ForeignStrategy(lambda: generator_class("anywhere"), "anywhere", space, {}, 1)
    known = Runs(np.full((1, 2), 0.5), np.array([8.0]), np.array([0.1]))
    made = strategy.suggest(5, known, np.zeros((0, 2)), [Target(twist_deg=8.2)], index=1)
    assert made.points.shape == (5, 2)
    assert ((made.points >= 0) & (made.points <= 1)).all()
    assert set(made.made_by) == {"anywhere"}


def file_of(folder: Path, **sections: dict[str, object]) -> Path:
    file = folder / "c.toml"
    file.write_text(campaign_text("c", sections, results=3), encoding="utf-8")
    return file


def test_campaign_file_names_them(installed: Path, tmp_path: Path) -> None:
    """Launcher and model are accepted, with the keys of the model's own."""
    workers = {"count": 1, "launcher": "nice"}
    campaign = load_campaign(file_of(tmp_path, growth={"model": "sheet", "side": 10}, workers=workers))
    assert campaign.growth.model_dump() == {"model": "sheet", "side": 10}


@pytest.mark.parametrize(
    ("growth", "workers", "line"),
    [
        ({"model": "sheets"}, {}, "growth.model: expected one of .*'bead'.*'sheet', got .sheets.; did you mean"),
        ({"model": "sheet", "side": 1}, {}, "growth.side: expected an integer of at least 2, got 1"),
        ({"model": "sheet", "sides": 3}, {}, "growth: expected no key but side"),
        (
            {"model": "noop"},
            {"launcher": "nicer"},
            r"workers.launcher: expected one that is installed \(flux, local, nice, slurm\)",
        ),
    ],
)
def test_what_is_wrong_is_refused_naming_what_there_is(
    installed: Path, tmp_path: Path, growth: dict[str, object], workers: dict[str, object], line: str
) -> None:
    """A name that nobody brings, or a key that the model does not take."""
    with pytest.raises(CampaignFileError, match=line):
        load_campaign(file_of(tmp_path, growth=growth, workers={"count": 1, **workers}))
