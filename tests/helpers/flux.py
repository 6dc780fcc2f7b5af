"""A Flux instance of two brokers on this machine, which stand for two nodes of one core and two GPUs each."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command
from tests.helpers.rank_processes import environment_of
from tests.helpers.schedulers import Held
from tests.helpers.waiting import wait_until

NODES = ("n0", "n1")
RESOURCES = "[resource]\nverify = false\n" + "".join(
    f'[[resource.config]]\nhosts = "{node}"\ncores = "{number}"\ngpus = "0-1"\n' for number, node in enumerate(NODES)
)


def why_no_flux() -> str | None:
    """Why a Flux cannot be started here, in words; None where it can."""
    if shutil.which("flux") is None:
        return "no flux on the PATH: neither Debian nor PyPI has Flux, see docs/cluster.md"
    try:
        import flux.job
    except (ImportError, OSError) as error:
        return f"flux is on the PATH, but not its Python bindings: {error}"
    return None if hasattr(flux, "Flux") else f"{flux.__path__} is not Flux"


class Flux:
    """Each allocation is a separate instance, since what a test breaks cannot be repaired."""

    launcher = "flux"
    tells_a_dead_rank_s = 2.0

    @contextlib.contextmanager
    def allocation(self, *options: str) -> Iterator[Held]:
        """An instance with both nodes, for as long as the block lasts."""
        with tempfile.TemporaryDirectory(prefix="moireloop-flux-") as place:
            uri_file = Path(place) / "uri"
            (Path(place) / "resources.toml").write_text(RESOURCES)
            idle = shlex.join(lifeline_command(["sleep", "3600"], signal.SIGKILL, parent=ANY_PARENT))
            command = [
                "flux", "start", f"--test-size={len(NODES)}", f"--test-hosts={' '.join(NODES)}",
                f"--config-path={place}/resources.toml", *options,
                "sh", "-c", f"echo $FLUX_URI > {uri_file}.new && mv {uri_file}.new {uri_file} && exec {idle}",
            ]  # fmt: skip
            nowhere = subprocess.DEVNULL
            with subprocess.Popen(
                lifeline_command(command, signal.SIGTERM), stdin=nowhere, stdout=nowhere, stderr=nowhere
            ) as start:
                try:
                    wait_until(uri_file.exists, "the Flux instance is up", 90)
                    yield Held({**os.environ, "FLUX_URI": uri_file.read_text().strip()}, NODES)
                finally:
                    start.terminate()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        start.wait(20)
                    start.kill()
                    for broker in brokers_of(f"-c{place}/resources.toml"):
                        os.kill(broker, signal.SIGKILL)

    def node_of(self, pid: int) -> str:
        """The node of a rank: the node of the broker in its environment."""
        uri = environment_of(pid).get("FLUX_URI", "")
        return f"n{uri[-1]}" if uri else ""

    def cancel(self, held: Held, job_name: str) -> None:
        """`flux cancel` of a worker's job."""
        job = said(held.environment, "flux", "jobs", "-n", "-o", "{id}", f"--name={job_name}").strip()
        said(held.environment, "flux", "cancel", job)

    def lose(self, held: Held, node: str) -> None:
        """Kill the broker of a node by -9."""
        uri = held.environment["FLUX_URI"]
        place = Path(uri.removeprefix("local://")).parent
        (broker,) = brokers_of(f"--setattr=hostname={node}", f"--setattr=rundir={place}")
        os.kill(broker, signal.SIGKILL)

    @contextlib.contextmanager
    def occupy(self, held: Held) -> Iterator[None]:
        """A job that takes every core."""
        count = f"-n{len(held.nodes)}"
        job = said(
            held.environment, "flux", "submit", "--wait-event=start", f"-N{len(held.nodes)}", count, "sleep", "60"
        )
        try:
            yield
        finally:
            said(held.environment, "flux", "cancel", job.strip())


def said(environment: Mapping[str, str], *words: str) -> str:
    """What a command of Flux's says."""
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def brokers_of(*words: str) -> list[int]:
    """The brokers that were started with these words."""
    processes = [process for process in Path("/proc").iterdir() if process.name.isdigit()]
    return [
        int(process.name)
        for process in processes
        if {"flux-broker", *words} <= {Path(_words(process)[0]).name, *_words(process)}
    ]


def _words(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return [""]
