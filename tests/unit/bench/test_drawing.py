"""The figures, from searches that are made up."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from bench.paper_figures.__main__ import figures, markdown
from bench.paper_figures.claims import all_claims
from bench.paper_figures.parameter_drawing import histogram
from tests.unit.bench.made_up import GRID_DEG, HIT_FIRST, evidence


def labels(figure: Figure) -> set[str]:
    """All labels of the axes of a figure."""
    return {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text}


def test_every_figure_of_the_paper_is_drawn() -> None:
    """Figures 3 to 6 and S1 to S4; figures of parameters name the growth parameters with their units."""
    drawn = figures(evidence(HIT_FIRST), "bead")
    assert {name.split("-")[0] for name in drawn} == {
        "fig3a", "fig3b", "fig4a", "fig4b", "fig5b", "fig6", "figS1", "figS2", "figS3", "figS4",
    }  # fmt: skip
    for name in ("figS2-diversity", "figS3-evolution"):
        assert {"lattice strain", "shear strain"} <= labels(drawn[name])
    assert {"temperature (K)", "lattice strain", "twist (°)"} <= labels(drawn["figS1-landscape"])


def test_the_histogram_counts_every_run() -> None:
    """Those with a twist, each once."""
    bars = histogram(evidence(HIT_FIRST)).axes[0].patches
    assert sum(bar.get_height() for bar in bars) == np.isfinite(GRID_DEG).sum()  # type: ignore[attr-defined]


def test_the_table_for_the_docs_has_a_row_for_each_claim() -> None:
    """In Markdown, four cells each."""
    claims = all_claims(evidence(HIT_FIRST))
    lines = markdown(claims).splitlines()
    assert len(lines) == 2 + len(claims)
    assert {line.count("|") for line in lines} == {5}
