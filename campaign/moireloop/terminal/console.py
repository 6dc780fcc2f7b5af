"""The console that all commands write to (pure)."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console

console: Final = Console()


def say(text: str) -> None:
    """Print a line as it is: nothing in it is markup, and it is broken nowhere."""
    console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print a line about what is wrong to stderr."""
    sys.stderr.write(f"moireloop: {text}\n")
