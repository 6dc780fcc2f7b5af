"""docker/: what the compose file opens, what its containers may do, and that images and commands fit each other."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from moireloop.campaign_file.load import read_campaign
from moireloop.command_line.commands import COMMANDS
from moireloop_broker.extras import MODULES
from tests.helpers.compose_file import (
    COMPOSE,
    DOCKER,
    DOCKERFILE,
    command_of,
    environment,
    services,
    stage,
    why_no_compose_v2,
)

SERVICES = ("broker", "conductor", "optimizer", "analyzer", "worker", "gateway")


def test_each_service_has_its_own_container() -> None:
    """Each has its own image; all share one volume and get the campaign file read-only."""
    found = services()
    assert set(found) == set(SERVICES)
    for name, service in found.items():
        assert service["build"]["target"] == name
        assert service["image"].startswith(f"moireloop-{name}:")
        shared, file = service["volumes"]
        assert str(shared).startswith("campaign:/campaign")
        assert (file["type"], file["target"], file["read_only"]) == ("bind", "/campaign/campaign.toml", True)
        assert (COMPOSE.parent / file["source"]).samefile(DOCKER / "campaign.toml")


def test_only_the_gateway_is_published_and_only_on_loopback() -> None:
    """No other port leaves the containers' own network."""
    assert {name for name, service in services().items() if service.get("ports")} == {"gateway"}
    (port,) = services()["gateway"]["ports"]
    assert str(port).startswith("127.0.0.1:")
    assert all("network_mode" not in service for service in services().values())


@pytest.mark.parametrize("name", SERVICES)
def test_containers_have_no_rights_that_they_do_not_need(name: str) -> None:
    """Read-only, without capabilities, no new ones, bounded memory; what failed comes back, what has ended does not."""
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "on-failure"
    assert service["init"] is True
    assert service["mem_limit"]
    assert not service.get("privileged")
    assert {"ARG UID=10001", "USER ${UID}:${UID}"} <= set(stage(name)), "by number: Kubernetes asks for runAsNonRoot"


def test_volume_takes_its_mode_from_the_image() -> None:
    """Keys and passwords lie in it: the folder is the user's alone."""
    assert any("--mode 0700 --owner moireloop" in line and "/campaign" in line for line in stage("base"))


def test_links_of_the_gateway_are_right_outside() -> None:
    """It listens on the port that is published, and its tokens outlive the container."""
    words, (port,) = command_of("gateway"), services()["gateway"]["ports"]
    assert len({words[words.index("--port") + 1], *str(port).removesuffix("/tcp").split(":")[1:]}) == 1
    assert words[words.index("--tokens") + 1].startswith("/campaign/")


def test_file_is_valid_for_compose_v2() -> None:
    """The program that reads it today, beside docker-compose 1.29."""
    if (reason := why_no_compose_v2()) is not None:
        pytest.skip(reason)
    command = ["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_folder_in_the_place_of_the_campaign_file_is_refused(tmp_path: Path) -> None:
    """Docker makes one where the file to be mounted does not exist: one true line says so, and nothing is started."""
    (tmp_path / "campaign.toml").mkdir()
    command = ["sh", str(DOCKER / "entrypoint.sh"), "run", str(tmp_path / "campaign.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "MOIRELOOP_CAMPAIGN" in done.stderr
    assert done.stderr.count("\n") == 1


def test_workers_have_room_for_mpi() -> None:
    """The demo's worker of one rank, and some more."""
    size = str(services()["worker"]["shm_size"])
    assert int(re.sub(r"\D", "", size)) * (1 if size.isdecimal() else 2**20) >= 16 * 2**20


@pytest.mark.parametrize("name", SERVICES)
def test_images_have_the_extra_of_their_service(name: str) -> None:
    """And no other; the conductor, which checks, draws and tabulates, has all that a session needs."""
    (line,) = [line for line in stage(f"{name}-packages") if "pip install" in line]
    extras = re.search(r"\[([\w,]+)\]\"", line)
    assert extras is not None
    wanted = {"worker", "analyzer", "optimizer", "figures"} if name == "conductor" else {name}
    assert set(extras[1].split(",")) == wanted
    assert wanted <= set(MODULES) | {"gateway"}
    assert any(f"--from={name}-packages" in line for line in stage(name))


@pytest.mark.parametrize("name", SERVICES)
def test_commands_are_commands_of_moireloop(name: str) -> None:
    """What a container carries out, and how its health is asked."""
    word = command_of(name)[0]
    assert word in COMMANDS
    (asked,) = [json.loads(line.partition("CMD ")[2]) for line in stage(name) if line.startswith("HEALTHCHECK")]
    if name == "gateway":
        compile(asked[2], "health check", "exec")
        return
    kind = name if name != "worker" else "workers"
    assert asked == ["moireloop", "service", kind, "/campaign/campaign.toml", "--check"]
    assert name == "conductor" or command_of(name)[:3] == asked[1:4]


@pytest.mark.parametrize("name", ["analyzer", "conductor"])
def test_kernels_are_in_the_images_of_those_who_fit_lattices(name: str) -> None:
    """Compiled once, for the processor that is named, not in each new container: the conductor draws bilayers."""
    lines = stage(name)
    assert "COPY --from=kernels /opt/kernels /opt/kernels" in lines
    assert "ENV NUMBA_CPU_NAME=${KERNEL_CPU} NUMBA_CACHE_DIR=/tmp/kernels" in lines


def test_every_variable_is_in_the_env_file() -> None:
    """And each of its variables is used, or is Docker's own; a missing one is an error, except pip's own variables."""
    text = COMPOSE.read_text(encoding="utf-8")
    used = re.findall(r"\$\{(\w+):\?[^}]+\}", text)
    of_pip = re.findall(r"\$\{(PIP_\w+):?-[^}]*\}", text)
    assert {*used, "COMPOSE_PROJECT_NAME"} == set(environment())
    assert text.count("$") == len(used) + len(of_pip)


def test_pips_variables_reach_the_build() -> None:
    """Each has an argument of its name in the Dockerfile, with the same default."""
    defaults = dict(re.findall(r"\$\{(PIP_\w+):?-([^}]*)\}", COMPOSE.read_text(encoding="utf-8")))
    assert defaults == dict(re.findall(r"^ARG (PIP_\w+)=(.*)$", DOCKERFILE, re.MULTILINE))


def test_campaign_file_leaves_workers_to_containers() -> None:
    """They join; the others find the broker by its container's name."""
    campaign = read_campaign(DOCKER / "campaign.toml").campaign
    assert (campaign.workers.count, campaign.network.host) == (0, "broker")


def test_image_needs_no_buildkit_and_keeps_no_compiler() -> None:
    """Older builders know neither mounts nor here-documents; packages are wheels."""
    assert "--mount" not in DOCKERFILE
    assert "<<" not in DOCKERFILE
    assert not re.search(r"\b(gcc|build-essential|python3-dev)\b", DOCKERFILE)
