"""The tutorial of the cluster, in a real Slurm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from moireloop import open as open_folder
from tests.helpers.kernels import compiled_kernels
from tests.helpers.slurm import Slurm
from tests.helpers.waiting import wait_until

__all__ = ["compiled_kernels"]

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "cluster.md"


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("compiled_kernels")
def test_job_of_the_page_gets_all_results(slurm: Slurm, tmp_path: Path) -> None:
    """The page's file and its job script, submitted as they are."""
    if shutil.which("redis-server") is None and shutil.which("valkey-server") is None:
        pytest.skip("no Redis server with TLS on the PATH, which a campaign on several hosts needs")
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(r'```toml title="cluster.toml"\n(.*?)```', page, re.DOTALL)
    command = re.search(r"^\$ moireloop (job .*) > cluster.sh$", page, re.MULTILINE)
    assert found
    assert command
    (tmp_path / "cluster.toml").write_text(found[1], encoding="utf-8")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    text = subprocess.run(
        ["moireloop", *command[1].split()], cwd=tmp_path, env={**os.environ, "PATH": path},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    file = tmp_path / "cluster.sh"
    file.write_text(text, encoding="utf-8")
    job = slurm.submit(file, 1)
    wait_until(lambda: slurm.is_over(job), "the job is over", 500)
    said = file.with_name("cluster.sh.out").read_text(encoding="utf-8")
    assert "all 6 results are there" in said
    assert len(open_folder(tmp_path / "cluster.campaign").results) == 6, said
