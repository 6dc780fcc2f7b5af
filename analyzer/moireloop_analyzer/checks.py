"""What can be wrong with the sections [analyzers] and [early_end] of a campaign file beyond their shape (adapter)."""

from __future__ import annotations

from moireloop_analyzer.plugins.registry import AnalyzerUnusable, load_analyzer
from moireloop_analyzer.settings import AnalyzerSettings, EarlyEndSettings
from moireloop_broker.problems import Problem

LEAST_FRAMES = 5
"""Frames of a run below which it shows nothing that could be learnt from."""


def analyzer_problems(analyzers: AnalyzerSettings) -> list[Problem]:
    """Whether the analyzers that the file names can be loaded. Those that it does not name are not looked at."""
    problems = []
    for number, name in enumerate(analyzers.analyses):
        try:
            load_analyzer(name)
        except AnalyzerUnusable as error:
            problems.append(Problem(f"analyzers.analyses[{number}]", str(error)))
    return problems


def early_end_problems(policies: EarlyEndSettings, run_steps: int, frame_steps: int) -> list[Problem]:
    """Policies that no run can ever meet, since it has fewer frames than they look at.

    Args:
        run_steps: steps of a run.
        frame_steps: steps between two frames.
    """
    most = run_steps // frame_steps
    why = f"since a run of {run_steps} steps has a frame every {frame_steps}"
    wanted = {
        name: policy.frames for name in ("settled", "hopeless") if (policy := getattr(policies, name)) is not None
    }
    problems = [
        Problem(f"early_end.{name}.frames", f"expected at most {most}, {why}, got {frames}")
        for name, frames in wanted.items()
        if frames > most
    ]
    if policies.learnt is not None and most < LEAST_FRAMES:
        needed = f"expected runs of at least {LEAST_FRAMES} frames to learn from, got {most}, {why}"
        problems.append(Problem("early_end.learnt", f"{needed}; lower frames.every_steps"))
    return problems + _earlier_problems(policies)


def _earlier_problems(policies: EarlyEndSettings) -> list[Problem]:
    """Files of earlier runs that nothing can be learnt from."""
    if policies.learnt is None or not policies.learnt.earlier:
        return []
    from moireloop_analyzer.settling.earlier import problem_of

    found = [(number, problem_of(path)) for number, path in enumerate(policies.learnt.earlier)]
    return [Problem(f"early_end.learnt.earlier[{number}]", why) for number, why in found if why is not None]


def early_end_warnings(policies: EarlyEndSettings, results: int) -> list[str]:
    """Why the policy `learnt` cannot end any run of a campaign with this budget of results."""
    learnt = policies.learnt
    if learnt is None or learnt.earlier or results > learnt.whole_runs_needed:
        return []
    return [
        f"early_end.learnt ends no run: level {learnt.level:g} needs {learnt.whole_runs_needed} whole runs to learn "
        f"from, and the budget is {results} results; a lower level or fewer least_runs may do"
    ]
