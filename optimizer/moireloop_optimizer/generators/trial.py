"""Makes one generator once: `python -m moireloop_optimizer.generators.trial`, the settings on stdin (main).

What is wrong is printed as JSON: the key of the section [optimizer] and the reason, or null. What the generator writes
goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pydantic import BaseModel, ConfigDict

from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.generators.calls import new_generator, reason_of
from moireloop_optimizer.generators.source import GeneratorUnusable, generator_class


class Trial(BaseModel):
    """What to make: as a campaign file says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str
    options: dict[str, Any]
    space: SearchSpace
    target: Target
    seed: int


def problem_of(trial: Trial) -> tuple[str, str] | None:
    """The key that is wrong, and why; None when the generator can be made."""
    try:
        generator = generator_class(trial.strategy)
    except GeneratorUnusable as error:
        return "strategy", str(error)
    reason = _why_not(trial, generator, trial.options)
    if reason is None:
        return None
    is_options = bool(trial.options) and _why_not(trial, generator, {}) is None
    return ("options" if is_options else "strategy"), f"{trial.strategy} cannot be constructed: {reason}"


def _why_not(trial: Trial, found: Any, options: dict[str, Any]) -> str | None:
    try:
        new_generator(found, trial.space, options, trial.target, trial.seed)
    except (Exception, SystemExit) as error:  # a user's class: anything may be wrong with it
        return reason_of(error)
    return None


def main() -> int:
    """Try it; the exit code is 0 whatever it came to, unless it brings the process down."""
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        me = os.getpid()
        problem = problem_of(Trial.model_validate_json(sys.stdin.read()))
        if os.getpid() != me:  # a copy of this process, which a user's code made by fork
            os._exit(0)
        answer.write(f"{json.dumps(problem)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
