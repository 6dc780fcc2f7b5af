"""After the warm-up no frame waits for a compiler, whatever is in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

PROGRAM = """
import sys

import numpy as np
from numba.core.dispatcher import Dispatcher

from moireloop_analyzer.measurement import measure_frame
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.warm_up import small_frame, warm_up
from moireloop_broker.contract.frames import Frame


def compiled():
    modules = [module for name, module in sys.modules.items() if name.startswith("moireloop_analyzer")]
    kernels = {id(kernel): kernel for m in modules for kernel in vars(m).values() if isinstance(kernel, Dispatcher)}
    return {(kernel.py_func.__name__, str(types)) for kernel in kernels.values() for types in kernel.signatures}


def changed(positions=None, keep=slice(None), **header):
    positions = whole.positions if positions is None else positions
    positions, types = np.ascontiguousarray(positions[keep], np.float32), whole.types[keep]
    fields = {"shape": list(positions.shape), **header}
    return Frame(whole.header.model_copy(update=fields), positions, types)


settings = AnalyzerSettings(estimator=sys.argv[1])
warm_up(settings)
before, whole, rng = compiled(), small_frame(), np.random.default_rng(1)
upper = whole.types >= 3
molten, half, ripple = whole.positions.copy(), whole.positions.copy(), whole.positions.copy()
molten[:, :2] = rng.uniform(0, 25, size=(len(molten), 2))
half[upper] = molten[upper]
ripple[:, 2] += 2 * np.sin(ripple[:, 0] / 4)
turned = np.frombuffer(whole.positions[:, [1, 0, 2]].tobytes(), "<f4").reshape(-1, 3)
frames = [
    changed(molten), changed(half), changed(ripple), changed(ripple, periodic=[True] * 3), changed(turned),
    changed(keep=rng.random(len(molten)) > 0.1), changed(periodic=[False] * 3), changed(keep=~upper),
    changed(np.full_like(molten, np.nan)), changed(keep=slice(0)), changed(lattice_types=[1]), changed(keep=upper),
    changed(lattice_types=[1, 2, 3, 4]), changed(molten * 1e9), changed(np.tile(whole.positions[:1], (len(molten), 1))),
]
found = [measure_frame(frame, settings) for frame in frames]
assert {frame.twist_deg is None for frame in found} == {True, False}
assert not [frame.reason for frame in found if "failed" in (frame.reason or "")]
print(len(before) > 10, sorted(compiled() - before))
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("estimator", ["lattice", "row"])
def test_no_frame_compiles_anything(estimator: str) -> None:
    """In a new process, for either estimator: molten, rippled, wrapped, open, single, broken and empty frames."""
    command = [sys.executable, "-c", PROGRAM, estimator]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True []"
