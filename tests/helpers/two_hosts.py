"""Two hosts on one machine: network namespaces that a switch joins, each with its own host name and /etc/hosts.

They share the file system, as hosts of a cluster do. What is started on a host keeps its process id, and can be
signalled as any other process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PREFIX = "nw"

SUBNET = "10.77.1"

NAMES_FOLDER = Path("/etc/netns")


def why_not() -> str | None:
    """Why there can be no two hosts here; None where there can."""
    if os.geteuid() != 0:
        return "two hosts need root, for network namespaces"
    if missing := [name for name in ("ip", "tc", "unshare") if shutil.which(name) is None]:
        return f"two hosts need {' and '.join(missing)} (Debian's iproute2 and util-linux)"
    trial = f"{PREFIX}{os.getpid()}t"
    made = subprocess.run(["ip", "netns", "add", trial], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"this machine makes no network namespaces: {made.stderr.strip()}"
    _ip("netns", "del", trial)
    return None


@dataclass(frozen=True)
class Host:
    """One of them."""

    name: str
    address: str

    @property
    def interface(self) -> str:
        """Its end of the cable."""
        return f"{self.name}e"

    @property
    def port(self) -> str:
        """The switch's end of the cable."""
        return f"{self.name}p"

    def command(self, command: Sequence[str]) -> list[str]:
        """A command line that runs a command on this host, as the same process."""
        named = 'hostname "$0"; exec "$@"'
        return ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", named, self.name, *command]

    def run(self, command: Sequence[str], timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(self.command(command), capture_output=True, text=True, check=False, timeout=timeout_s)

    def slow_down(self, kbit_per_s: int) -> None:
        """Let so much leave this host and no more; what is too much waits."""
        rate = ("rate", f"{kbit_per_s}kbit", "burst", "16kb", "latency", "1000ms")
        _ip("netns", "exec", self.name, "tc", "qdisc", "replace", "dev", self.interface, "root", "tbf", *rate)

    def full_speed(self) -> None:
        """Let everything leave at once again."""
        command = ["ip", "netns", "exec", self.name, "tc", "qdisc", "del", "dev", self.interface, "root"]
        subprocess.run(command, capture_output=True, check=False)


class TwoHosts:
    """Two hosts and the switch between them."""

    def __init__(self) -> None:
        first, second = (f"{PREFIX}{os.getpid()}{letter}" for letter in "ab")
        self.first = Host(first, f"{SUBNET}.1")
        self.second = Host(second, f"{SUBNET}.2")
        self._switch = f"{PREFIX}{os.getpid()}s"

    @property
    def both(self) -> tuple[Host, Host]:
        """The hosts."""
        return self.first, self.second

    def set_up(self) -> None:
        """Make them."""
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "switch", "up")
        names = "".join(f"{host.address} {host.name}\n" for host in self.both)
        for host in self.both:
            _ip("netns", "add", host.name)
            folder = NAMES_FOLDER / host.name
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
            _ip("-n", host.name, "link", "add", host.interface, "type", "veth", "peer", "name", host.port)
            _ip("-n", host.name, "link", "set", host.port, "netns", self._switch)
            _ip("-n", self._switch, "link", "set", host.port, "master", "switch")
            _ip("-n", self._switch, "link", "set", host.port, "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", host.interface)
            _ip("-n", host.name, "link", "set", "lo", "up")
            _ip("-n", host.name, "link", "set", host.interface, "up")

    def take_down(self) -> None:
        """Remove them; what runs there must have ended."""
        for name in (self.first.name, self.second.name, self._switch):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            shutil.rmtree(NAMES_FOLDER / name, ignore_errors=True)
        with contextlib.suppress(OSError):
            NAMES_FOLDER.rmdir()

    def unplug(self) -> None:
        """Part them: what is on its way, or sent from now on, is lost, without any notice."""
        _ip("-n", self._switch, "link", "set", self.second.port, "nomaster")

    def plug_in(self) -> None:
        """Join them again."""
        _ip("-n", self._switch, "link", "set", self.second.port, "master", "switch")


@contextlib.contextmanager
def two_hosts() -> Iterator[TwoHosts]:
    """Two hosts for as long as the block lasts."""
    hosts = TwoHosts()
    try:
        hosts.set_up()
        yield hosts
    finally:
        hosts.take_down()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr.strip()}"
