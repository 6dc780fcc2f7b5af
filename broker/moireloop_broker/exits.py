"""How a service says that starting it again is of no use (pure)."""

from __future__ import annotations

from typing import Final

EXIT_DIED: Final = 1
EXIT_CANNOT_SERVE: Final = 69
"""EX_UNAVAILABLE of sysexits.h."""


class CannotServe(RuntimeError):
    """A service cannot do its work here, and starting it again is of no use; the text says what is missing."""
