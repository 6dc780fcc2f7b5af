"""What can be wrong with the section [optimizer] of a campaign file beyond its shape; nothing is imported (adapter)."""

from __future__ import annotations

from moireloop_broker.contract.search import BudgetSettings
from moireloop_broker.problems import Problem
from moireloop_optimizer.generators.source import why_unknown
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_optimizer.strategy_names import DEFAULT_STRATEGY, is_own


def optimizer_problems(optimizer: OptimizerSettings, budget: BudgetSettings) -> list[Problem]:
    """A batch or initial design beyond the budget, an unknown strategy, options or patterns for one that takes none."""
    return [*_budget_problems(optimizer, budget), *_strategy_problems(optimizer)]


def _budget_problems(optimizer: OptimizerSettings, budget: BudgetSettings) -> list[Problem]:
    """An initial design that was not requested may be cut, so its default is not a problem."""
    given, results = optimizer.model_fields_set, budget.results
    problems = []
    if optimizer.initial > results and "initial" in given:
        text = f"expected at most budget.results = {results}, got {optimizer.initial}"
        problems.append(Problem("optimizer.initial", text))
    if optimizer.mode == "batch" and optimizer.n_batch > results:
        default = "" if "n_batch" in given else " (the default)"
        text = f"expected at most budget.results = {results}, got {optimizer.n_batch}{default}"
        problems.append(Problem("optimizer.n_batch", text))
    return problems


def _strategy_problems(optimizer: OptimizerSettings) -> list[Problem]:
    problems = []
    if (reason := why_unknown(optimizer.strategy)) is not None:
        problems.append(Problem("optimizer.strategy", reason))
    elif is_own(optimizer.strategy) and optimizer.options:
        names = ", ".join(optimizer.options)
        text = f"expected none, since strategy {optimizer.strategy!r} takes none, got {names}"
        problems.append(Problem("optimizer.options", text))
    if optimizer.learn_from_patterns and optimizer.strategy != DEFAULT_STRATEGY:
        text = f"expected strategy {DEFAULT_STRATEGY!r}, which alone learns from patterns, got {optimizer.strategy!r}"
        problems.append(Problem("optimizer.learn_from_patterns", text))
    return problems
