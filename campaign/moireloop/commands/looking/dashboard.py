"""`moireloop dashboard`: campaigns in a browser, and over HTTP (main)."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Any

from moireloop_gateway.serve import Listening, say, serve


def dashboard(path: list[Path], *, browser: bool = False, **how: Any) -> int:
    """Show campaigns in a browser, running or finished; JSON, server-sent events and metrics too."""

    def ready(link: str) -> None:
        if browser:
            webbrowser.open(link)

    return serve(path, Listening(**{**how, "names": tuple(how["names"]), "origins": tuple(how["origins"])}), say, ready)
