"""Requests to a running campaign, one at a time, from a separate thread (adapter)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from moireloop.client.client import NotRunning, connect
from moireloop_broker.connection import NoConnectionFile

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient
    from moireloop_gateway.sources.place import Source

T = TypeVar("T")

TIMEOUT_S = 5.0


class Asker:
    """Holds one client, replaced when the services behind it change."""

    def __init__(self, place: Source) -> None:
        self._place = place
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"ask-{place.key}")
        self._client: CampaignClient | None = None

    async def ask(self, call: Callable[[CampaignClient], T]) -> T:
        """What a call of the client returns. Raises NotRunning, RequestRefused."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, call)

    def _call(self, call: Callable[[CampaignClient], T]) -> T:
        try:
            if self._client is None:
                self._client = self._connected()
            return call(self._client)
        except NotRunning:
            self._drop()
            raise

    def _connected(self) -> CampaignClient:
        if not self._place.runs():
            raise NotRunning(f"campaign {self._place.key!r} is not running")
        try:
            return connect(self._place.connection_file, timeout_s=TIMEOUT_S)
        except NoConnectionFile as error:
            raise NotRunning(str(error)) from error

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        """Let go of the client."""
        self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)
