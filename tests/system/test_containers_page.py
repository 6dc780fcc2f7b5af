"""The tutorial of the containers, word for word, with a real Docker: images are built, and a campaign runs in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop_broker.connection import free_port
from tests.helpers.compose_file import DOCKER, why_no_compose_v2

ROOT = DOCKER.parent
PAGE = ROOT / "docs" / "tutorials" / "containers.md"
NEEDED = ("docker", "broker", "worker", "analyzer", "optimizer", "gateway", "campaign")
FILES = (".dockerignore", "README.md", "LICENSE", "pyproject.toml", "requirements.lock")
COMPOSE = ["docker", "compose", "-f", "docker/compose.yaml"]


def why_no_docker() -> str | None:
    """Why the page cannot be followed here; None where it can."""
    if (reason := why_no_compose_v2()) is not None:
        return reason
    done = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return None if done.returncode == 0 else "no Docker daemon responds"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout, so that what the page copies out of the volume does not land in this one."""
    for name in NEEDED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def environment(checkout: Path) -> Iterator[dict[str, str]]:
    """Another name and port than a campaign of the user's may have; at the end no container and no volume is left."""
    chosen = {"COMPOSE_PROJECT_NAME": "moireloop-page", "MOIRELOOP_GATEWAY_PORT": str(free_port("127.0.0.1"))}
    environment = {**os.environ, **chosen}
    yield environment
    subprocess.run([*COMPOSE, "down", "--volumes"], cwd=checkout, env=environment, capture_output=True, check=False)


def containers_of(environment: dict[str, str]) -> str:
    """Ids of the containers that exist."""
    label = f"label=com.docker.compose.project={environment['COMPOSE_PROJECT_NAME']}"
    command = ["docker", "ps", "--all", "--quiet", "--filter", label]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_commands_of_the_page(checkout: Path, environment: dict[str, str]) -> None:
    """Each command, in order: all results, a table of recipes, the campaign's folder, and nothing left at the end."""
    if (reason := why_no_docker()) is not None:
        pytest.skip(reason)
    printed = []
    for command in re.findall(r"^\$ (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        done = subprocess.run(
            ["bash", "-c", command], cwd=checkout, env=environment, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout[-3000:])
        printed.append(done.stdout)
    assert "all 40 results are there" in printed[2]
    assert re.search(r"target \(°\)\s+recipe", printed[3])
    assert (checkout / "results" / "results.parquet").is_file()
    assert containers_of(environment) == ""
