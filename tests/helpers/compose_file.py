"""docker/compose.yaml as Docker would take it, and the commands of its containers as the Dockerfile has them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

DOCKER: Final = Path(__file__).parents[2] / "docker"

COMPOSE: Final = DOCKER / "compose.yaml"

DOCKERFILE: Final = (DOCKER / "Dockerfile").read_text(encoding="utf-8")


def environment() -> dict[str, str]:
    """The variables of docker/.env."""
    lines = (DOCKER / ".env").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}


def services() -> dict[str, dict[str, Any]]:
    """The services of the compose file by their names, each whole, with the variables filled in."""
    return dict(document()["services"])


@cache
def document() -> dict[str, Any]:
    """The compose file: as docker-compose reads it where that is installed, else by YAML's own rules."""
    if (program := shutil.which("docker-compose")) is not None:
        command = [program, "-f", str(COMPOSE), "config"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return dict(yaml.safe_load(done.stdout))
    text = COMPOSE.read_text(encoding="utf-8")
    for name, value in environment().items():
        text = re.sub(rf"\$\{{{name}:[^}}]*\}}", value, text)
    text = re.sub(r"\$\{PIP_\w+:?-([^}]*)\}", r"\1", text)
    assert "${" not in text, "a variable is not in docker/.env"
    return dict(yaml.safe_load(text))


def why_no_compose_v2() -> str | None:
    """Why `docker compose` cannot be asked; None where it can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return None if done.returncode == 0 else "docker has no plug-in compose (v2)"


def stage(target: str) -> list[str]:
    """The lines of the Dockerfile's stage of this name, those that are continued as one."""
    joined = DOCKERFILE.replace("\\\n", " ")
    (found,) = re.findall(rf"^FROM \S+ AS {target}\n(.*?)(?=^FROM |\Z)", joined, re.DOTALL | re.MULTILINE)
    return [line for line in found.splitlines() if line and not line.startswith("#")]


def command_of(service: str) -> list[str]:
    """What a container of this service carries out: the compose file's command, else the image's."""
    described = services()[service]
    if described.get("command"):
        return [str(word) for word in described["command"]]
    (words,) = [line.removeprefix("CMD ") for line in stage(described["build"]["target"]) if line.startswith("CMD ")]
    return [str(word) for word in json.loads(words)]
