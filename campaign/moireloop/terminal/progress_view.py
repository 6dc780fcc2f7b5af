"""Shows a running campaign: a live picture on a terminal, a line now and then elsewhere (adapter)."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from moireloop.session.progress import Progress
from moireloop.terminal.picture import is_line_due, line, picture

LINE_EVERY_S: Final = 5.0


class ProgressView:
    """Shows progress on a console: live on a terminal, as lines elsewhere. A context manager."""

    def __init__(self, console: Console, *, line_every_s: float = LINE_EVERY_S) -> None:
        self._console = console
        self._line_every_s = line_every_s
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._shown: Progress | None = None
        self._shown_s = -math.inf

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress, now_s: float) -> None:
        """Show this state; `now_s` is any clock that does not go back, in seconds."""
        if self._live is not None:
            self._live.update(picture(progress), refresh=True)
        elif is_line_due(progress, self._shown, now_s - self._shown_s, self._line_every_s):
            self._console.print(line(progress), soft_wrap=True)
            self._shown, self._shown_s = progress, now_s
