"""The console that all commands write to (pure)."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Final

from rich.console import Console


def plain_console(**options: Any) -> Console:
    """A console on which every text is what it is: paths and words of others are no markup, emoji or code."""
    return Console(markup=False, emoji=False, highlight=False, **options)


console: Final = plain_console()


def say(text: str) -> None:
    """Print a line as it is; it is broken nowhere."""
    console.print(text, soft_wrap=True)


def complain(text: str) -> None:
    """Print a line about what is wrong to stderr."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"moireloop: {text}\n")
        sys.stderr.flush()
