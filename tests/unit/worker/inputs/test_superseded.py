"""Of the commands that a run was given, those that are in force where it goes on."""

from __future__ import annotations

import pytest

from moireloop_worker.inputs.superseded import in_force


@pytest.mark.parametrize(
    ("given", "left"),
    [
        pytest.param(
            "fix s all deform 1 x erate 1;unfix s;fix s all deform 1 y trate 1", "fix s all deform 1 y trate 1",
            id="unfixed and made again",
        ),
        pytest.param("fix a all nve;fix s all nvt;unfix s", "fix a all nve", id="unfixed for good"),
        pytest.param(
            "fix s all deform 1 x erate 1;fix b all nve;fix s all deform 1 y erate 1",
            "fix s all deform 1 y erate 1;fix b all nve", id="replaced in its place",
        ),
        pytest.param(
            "fix s all addforce v_a 0 0;variable b equal 1;fix m all nve;fix s all addforce v_b 0 0",
            "variable b equal 1;fix m all nve;fix s all addforce v_b 0 0", id="replaced by what needs a later variable",
        ),
        pytest.param(
            "fix s all nvt;fix m all nve;fix s some nvt", "fix s some nvt;fix m all nve", id="replaced with a group",
        ),
        pytest.param(
            "fix t all nvt;fix_modify t temp a;unfix t;fix t all nvt;fix_modify t energy yes",
            "fix t all nvt;fix_modify t energy yes", id="its modifications go with it",
        ),
        pytest.param(
            "compute c all temp;fix t all nvt;fix_modify t temp c;thermo_modify temp c lost warn;"
            "fix_modify t temp thermo_temp;thermo_modify temp thermo_temp;uncompute c",
            "fix t all nvt;thermo_modify lost warn;fix_modify t temp thermo_temp;thermo_modify temp thermo_temp",
            id="compute that is no more",
        ),
        pytest.param(
            "compute c all temp;uncompute c;compute c all temp/com;thermo_modify temp c",
            "compute c all temp/com;thermo_modify temp c", id="compute made again",
        ),
        pytest.param(
            "thermo_style custom step c_a;thermo_modify flush yes;thermo_style one;thermo_modify norm no",
            "thermo_style one;thermo_modify norm no", id="thermo style",
        ),
        pytest.param(
            "variable a equal 1;variable a delete;variable a equal 2;pair_coeff * * 1;pair_coeff 1 1 2;unfix other",
            "variable a equal 1;variable a delete;variable a equal 2;pair_coeff * * 1;pair_coeff 1 1 2;unfix other",
            id="all else stays",
        ),
    ],
)  # fmt: skip
def test_what_is_in_force(given: str, left: str) -> None:
    """In order; what was unfixed, replaced or taken back is not among them."""
    assert [text for text in in_force(given.split(";")) if text is not None] == left.split(";")
