"""Frames in parts: two MPI ranks send their own atoms, an analyzer's end puts them together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moireloop_analyzer.service.assembly import Assembly
from moireloop_broker.contract.frames import Frame
from moireloop_broker.streams.frames import FrameReceiver
from tests.helpers.waiting import wait_until
from tests.integration.worker.large_frames import SIDE, SPACING

SCRIPT = "tests.integration.worker.large_frames"
ROOT = Path(__file__).parents[3]
MOST_MB = 600


@contextmanager
def two_ranks(case: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The script under mpiexec; ended by force when the test fails."""
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    command = [mpiexec, "-n", "2", sys.executable, "-m", "mpi4py", "-m", SCRIPT, case, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            (folder / "taken").touch()
            if sys.exc_info()[0] is not None:
                process.terminate()


def answer_of(process: subprocess.Popen[str], folder: Path) -> Any:
    words = process.communicate(timeout=60)[0]
    assert process.returncode == 0, words
    return json.loads((folder / "answer.json").read_text(encoding="utf-8"))


def run(case: str, folder: Path) -> Any:
    with two_ranks(case, folder) as process:
        return answer_of(process, folder)


class Taker:
    """An analyzer's end of the stream."""

    def __init__(self, folder: Path) -> None:
        self.receiver = FrameReceiver(f"ipc://{folder}/frames")
        self.assembly = Assembly()
        self.frames: list[Frame] = []
        self.parts = 0

    def take(self, wait_s: float = 0.05) -> bool:
        """Take what is there; whether there was anything."""
        if (received := self.receiver.receive(wait_s)) is None:
            return False
        self.parts += 1
        if (whole := self.assembly.add(received, 0.0)) is not None:
            self.frames.append(whole)
        return True

    def take_all(self, sign: Path) -> None:
        """Take what comes until nothing more does once the file is there."""

        def taken() -> bool:
            signed = sign.exists()
            while self.take():
                pass
            return signed

        wait_until(taken, f"all parts and {sign.name}", 50)


@pytest.fixture
def taker(tmp_path: Path) -> Iterator[Taker]:
    made = Taker(tmp_path)
    yield made
    made.receiver.close()


def test_parts_hold_what_the_whole_frame_does(tmp_path: Path) -> None:
    """The parts of both ranks together are the atoms of the gathered snapshot, at every frame, with its energy."""
    whole, from_parts, gathered, energies, final = run("gathered_and_in_parts", tmp_path)
    assert len(whole) == 4
    assert from_parts == whole
    for rank, parts in enumerate(gathered):
        assert [(step, part, of) for step, part, of, _, _ in parts] == [(step, rank, 2) for step in (8, 16, 24, 32)]
        assert [energy for *_, energy in parts] == energies
        assert all(0 < atoms < 256 for *_, atoms, _ in parts)
    assert final == [256, 1]


def test_parts_hold_the_selected_types_alone(tmp_path: Path) -> None:
    """With lattice atoms alone each rank filters its own, and the final snapshot has no others either."""
    gathered, final = run("lattice_types_alone", tmp_path)
    assert [sum(atoms for atoms, _ in frame) for frame in zip(*gathered, strict=True)] == [64] * 4
    assert all(types == [2] for parts in gathered for _, types in parts)
    assert final == 64


def lattice_sites(positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers of the sites of the simple cubic lattice that the atoms sit on; fails where one does not sit on any."""
    steps = np.rint(positions / SPACING)
    np.testing.assert_allclose(positions, steps * SPACING, atol=1e-3)
    x, y, z = (steps.astype(int) % SIDE).T
    return np.sort(x + SIDE * (y + SIDE * z))


def test_million_atoms_stream(tmp_path: Path, taker: Taker) -> None:
    """Each frame has a million atoms, one on every site; so has the final snapshot; no rank needs much memory."""
    with two_ranks("million", tmp_path) as process:
        taker.take_all(tmp_path / "sent")
        (tmp_path / "taken").touch()
        peak_mb, (sent, dropped) = answer_of(process, tmp_path)
    assert [frame.header.step for frame in taker.frames] == [2, 4, 6]
    assert (sent, dropped, taker.parts, taker.receiver.malformed) == (3, 0, 6, 0)
    for frame in taker.frames:
        assert (frame.header.shape, frame.header.parts) == ([SIDE**3, 3], 1)
        np.testing.assert_array_equal(lattice_sites(frame.positions), np.arange(SIDE**3))
        assert frame.header.kinetic_ev == 0
    final = np.fromfile(tmp_path / "final.npy", np.float32).reshape(-1, 3)
    np.testing.assert_array_equal(lattice_sites(final), np.arange(SIDE**3))
    assert max(peak_mb) < MOST_MB


def test_frames_in_parts_are_dropped_whole(tmp_path: Path, taker: Taker) -> None:
    """An analyzer that takes nothing for a while costs frames, counted, the oldest first, and no frame half."""
    with two_ranks("stalled", tmp_path) as process:
        wait_until((tmp_path / "stalled").exists, "two hundred frames published", 50)
        taker.take_all(tmp_path / "stalled")
        (tmp_path / "caught up").touch()
        taker.take_all(tmp_path / "sent")
        (tmp_path / "taken").touch()
        sent, dropped = answer_of(process, tmp_path)
    steps = [frame.header.step for frame in taker.frames]
    assert steps == sorted(set(steps))
    assert len(steps) == sent == taker.parts / 2
    assert sent + dropped == 300
    assert dropped > 0
    assert steps[-1] == 299
    assert taker.assembly.held_bytes == 0
    assert all((frame.positions == frame.header.step).all() for frame in taker.frames)
    assert all(np.bincount(frame.types).tolist() == [0, 20_000, 21_000] for frame in taker.frames)


def test_the_rank_with_most_atoms_bounds_what_waits(tmp_path: Path) -> None:
    """Four parts of rank 1 fit its bound: rank 0, which has no atoms, keeps no more of them. None outlive the run."""
    during, after = run("uneven", tmp_path)
    assert during == [[4, 4], 16]
    assert after == [[0, 0], 21]
