"""A small script in order, and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moireloop_worker.models.script_settings import ReadScript

GOOD = """\
units metal
boundary p p f
region box block 0 20 0 20 0 20
create_box 1 box
create_atoms 1 random 30 {{seed}} NULL overlap 1.5 maxtry 200
mass 1 {{mass}}
pair_style lj/cut 5.0
pair_coeff 1 1 0.01 2.0
group mobile type 1
timestep 0.002
thermo {{frame_steps}}
velocity all create {{temperature_k}} {{seed2}}
fix move all nve
fix walls all wall/reflect zlo EDGE zhi EDGE
run 100
fix heat all langevin {{temperature_k}} 10 0.1 {{seed3}}
run {{quench_steps}}
"""


def settings(text: str = GOOD, **fields: Any) -> ReadScript:
    """The settings of a script as a worker has them."""
    given: dict[str, Any] = {
        "file": Path("growth.in"), "lattice_types": (1,), "values": {"mass": 32.5, "quench_steps": 40},
        "text": text, "kept_as": "script/growth.in", "files": {}, "frame_steps": 7,
    }  # fmt: skip
    return ReadScript(**{**given, **fields})
