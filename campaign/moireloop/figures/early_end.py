"""How far early end can be trusted: the reliability curve, and what each level saves and costs (pure)."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moireloop.figures.style import BLUE, GREEN, GREY, VERMILLION, new_figure
from moireloop_analyzer.settling.reliability import Reliability, wilson


def early_end_figure(found: Reliability | None, runs: int, least_runs: int, level: float, title: str = "") -> Figure:
    """Left: how often claims of held-out runs were right, by their score. Right: wrong ends and saved steps by level.

    Args:
        found: of the runs that went to their full end; None while they are too few.
        runs: how many there are.
        least_runs: how many are needed.
        level: the campaign's level, which is marked.
        title: of the figure.
    """
    figure = new_figure(10.0, 4.6, title)
    curve, levels = figure.subplots(1, 2)
    if found is None:
        curve.text(
            0.5, 0.5, f"{runs} whole runs, {least_runs} are needed", transform=curve.transAxes, ha="center", color=GREY
        )
        levels.set_axis_off()
        return figure
    _draw_curve(curve, found)
    _draw_levels(levels, found, level)
    return figure


def _draw_curve(axes: Axes, found: Reliability) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls="--")
    predicted, right = [part.predicted for part in found.curve], [part.right for part in found.curve]
    below = [max(0.0, part.right - part.low) for part in found.curve]
    above = [max(0.0, part.high - part.right) for part in found.curve]
    axes.errorbar(predicted, right, yerr=[below, above], fmt="o", ms=4, color=BLUE, capsize=2, lw=1, gid="curve")
    axes.set_xlabel("predicted probability, held-out frames")
    axes.set_ylabel(f"share whose twist was within {found.tolerance_deg:g}° of the final one")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.grid(color="#dddddd", lw=0.6)


def _draw_levels(axes: Axes, found: Reliability, level: float) -> None:
    ended = [(each, ends) for each, ends in found.levels if ends.ended]
    asked = [100 * (1 - each) for each, _ in ended]
    wrong = [100 * ends.wrong / ends.ended for _, ends in ended]
    bounds = [wilson(ends.wrong / ends.ended, ends.runs) for _, ends in ended]
    below = [max(0.0, share - 100 * low) for share, (low, _) in zip(wrong, bounds, strict=True)]
    above = [max(0.0, 100 * high - share) for share, (_, high) in zip(wrong, bounds, strict=True)]
    axes.errorbar(asked, wrong, yerr=[below, above], fmt="o-", ms=4, color=VERMILLION, capsize=2, lw=1, gid="wrong",
                  label="ended runs that were wrong (%)")  # fmt: skip
    axes.plot(asked, [100 * ends.saved for _, ends in ended], "s-", ms=4, color=GREEN, label="steps saved (%)")
    most = max([*asked, 100 * (1 - level), 1.0]) * 1.05
    axes.plot([0, most], [0, most], color=GREY, lw=0.8, ls="--")
    axes.axvline(100 * (1 - level), color=GREY, lw=0.8, ls=":", label=f"level {level:g}")
    axes.set_xlim(0, most)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("wrong ends allowed, 100 (1 - level) (%)")
    axes.set_title(f"{found.runs} whole runs, each predicted from the others", fontsize=9)
    axes.grid(color="#dddddd", lw=0.6)
    axes.legend(fontsize=8, frameon=False)
