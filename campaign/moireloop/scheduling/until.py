"""The option `--until` of commands that run workers: when they must have given back the machine (adapter)."""

from __future__ import annotations

import time

from moireloop_worker.launchers.walltime import end_of_text


class WrongTime(ValueError):
    """A time on the command line is invalid or in the past; the message says what was expected."""


def end_of_option(until: str | None) -> float | None:
    """The end that `--until` names, in seconds since the epoch. Raises WrongTime."""
    try:
        return None if until is None else end_of_text(until, time.time())
    except ValueError as error:
        raise WrongTime(f"--until: {error}") from error
