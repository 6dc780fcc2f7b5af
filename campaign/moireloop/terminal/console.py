"""The console that all commands write to (pure)."""

from __future__ import annotations

from typing import Final

from rich.console import Console

console: Final = Console()
