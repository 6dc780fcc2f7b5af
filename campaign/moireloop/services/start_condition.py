"""When the workers may begin: not before an analyzer is there to look at what they compute (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ANALYZER_PREFIX: Final = "analyzer-"

FIRST_ANALYZER_S: Final = 300.0
"""How long the workers wait for the first analyzer of a session; after that they begin without one."""

WAITING: Final = "waiting for the first analyzer (kernels compile once per installation)"


def may_begin(analyzers: int, announced: int, waited_s: float) -> bool:
    """Whether workers may take candidates.

    Args:
        analyzers: how many analyzers the session has started; without any there is no wait.
        announced: how many have announced themselves in this session.
        waited_s: seconds since the session began.
    """
    return analyzers == 0 or announced > 0 or waited_s >= FIRST_ANALYZER_S


def awaits_analyzer(state: str, services: Mapping[str, str]) -> bool:
    """Whether a session, by its state and the states of its services, is waiting for its first analyzer."""
    has_analyzer = any(name.startswith(ANALYZER_PREFIX) for name in services)
    return state in ("started", "resumed") and has_analyzer and "pool" not in services
