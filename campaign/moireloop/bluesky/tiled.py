"""Finished runs into a Tiled server, each once and whole, by bluesky's TiledWriter (adapter)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from moireloop.bluesky.documents import Document

PATIENCE_S: Final = 1.0

PORTS: Final = {"http": 80, "https": 443}


class NoTiled(RuntimeError):
    """No Tiled server can be written to at this address; the text says why."""


class WrongTiled(ValueError):
    """This is no address of a Tiled server."""


class TiledRuns:
    """Gathers the documents of each run and writes them when the run has stopped.

    A run that the server has whole is passed over; one that it has in part, from a writer that was killed, is removed
    and rewritten. The key of the server, where it wants one, comes from TILED_API_KEY, as Tiled's clients have it.

    Args:
        url: of the server, or of a container in it.

    Raises:
        WrongTiled, NoTiled: as they say.
    """

    def __init__(self, url: str) -> None:
        refuse_unreachable(url)
        from tiled.client import from_uri

        try:
            self._client = from_uri(url)
        except Exception as error:
            raise NoTiled(f"{url} cannot be opened as a Tiled server: {_first_line(error)}") from error
        self._url = url
        self._gathered: dict[str, list[Document]] = {}
        self._run_of: dict[str, str] = {}
        self.written = self.passed_over = 0

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        """Take a document. Raises NoTiled."""
        run = self._run(name, document)
        self._gathered.setdefault(run, []).append((name, document))
        if name == "stop":
            self._write(run, self._gathered.pop(run))

    def _run(self, name: str, document: dict[str, Any]) -> str:
        if name == "event":
            return self._run_of[document["descriptor"]]
        run: str = document["uid"] if name == "start" else document["run_start"]
        if name == "descriptor":
            self._run_of[document["uid"]] = run
        return run

    def _write(self, run: str, documents: list[Document]) -> None:
        for name, document in documents:
            if name == "descriptor":
                self._run_of.pop(document["uid"], None)
        if self._has(run):
            self.passed_over += 1
            return
        writer = _writer(self._client)
        try:
            for name, document in documents:
                writer(name, document)
        except Exception as error:
            raise NoTiled(f"run {run} cannot be written to {self._url}: {_first_line(error)}") from error
        self.written += 1

    def _has(self, run: str) -> bool:
        """Whether the server has a run whole; what it has of it in part is removed."""
        try:
            if run not in self._client:
                return False
            if self._client[run].metadata.get("stop"):
                return True
            self._client.delete_contents(run, recursive=True, external_only=False)
        except Exception as error:
            raise NoTiled(f"{self._url} does not say whether it has run {run}: {_first_line(error)}") from error
        return False


def _writer(client: Any) -> Callable[[str, dict[str, Any]], None]:
    from bluesky_tiled_plugins.writing.tiled_writer import TiledWriter

    writer: Callable[[str, dict[str, Any]], None] = TiledWriter(client)
    return writer


def refuse_unreachable(url: str) -> None:
    """Nothing when something listens there. Raises WrongTiled, NoTiled."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        host, port = None, 0
    if not host:
        raise WrongTiled(f"expected the address of a Tiled server, such as http://127.0.0.1:8000, got {url!r}")
    try:
        socket.create_connection((host, port), PATIENCE_S).close()
    except OSError as error:
        raise NoTiled(f"nothing responds at {url}: {error.strerror or error}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
