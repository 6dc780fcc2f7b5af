"""HTTP as the tests speak it: JSON, and server-sent events read one at a time."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and body."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class SseEvent:
    """One server-sent event, and when it came (seconds since the epoch)."""

    id: str | None
    event: str
    data: Any
    came_s: float


@dataclass(frozen=True)
class Caller:
    """Somebody who asks a gateway on this machine, with a token or without."""

    port: int
    token: str | None = None

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """One request and its answer; a dict or list goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, content, self._headers(headers))
            reply = connection.getresponse()
            return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    @contextmanager
    def listen(self, path: str, **headers: str) -> Iterator[Iterator[SseEvent]]:
        """Server-sent events as they come; ends with the connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, None, self._headers(headers))
            reply = connection.getresponse()
            assert reply.status == 200, reply.read()
            yield _events(reply)
        finally:
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return named if self.token is None else {"Authorization": f"Bearer {self.token}", **named}


def _events(reply: http.client.HTTPResponse) -> Iterator[SseEvent]:
    fields: dict[str, str] = {}
    while line := reply.readline():
        text = line.decode().rstrip("\n")
        if not text:
            if "data" in fields:
                yield SseEvent(fields.get("id"), fields["event"], json.loads(fields["data"]), time.time())
            fields = {}
            continue
        name, _, value = text.partition(": ")
        fields[name] = value
