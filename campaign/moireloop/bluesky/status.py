"""Whether what a device was asked for is done, as bluesky's RunEngine expects it (adapter)."""

from __future__ import annotations

import threading
from collections.abc import Callable


class GrowthStatus:
    """Done once, with an error or without; bluesky's protocol `Status`. Any thread may finish it."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[GrowthStatus], None]] = []

    @property
    def done(self) -> bool:
        """Whether it came to an end."""
        return self._done.is_set()

    @property
    def success(self) -> bool:
        """Whether it came to an end without an error."""
        return self.done and self._error is None

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """The error, or None. Raises TimeoutError if it is not done within the time-out."""
        self._wait(timeout)
        return self._error

    def wait(self, timeout: float | None = None) -> None:
        """Return when it is done. Raises its error, or TimeoutError after the time-out."""
        self._wait(timeout)
        if self._error is not None:
            raise self._error

    def add_callback(self, callback: Callable[[GrowthStatus], None]) -> None:
        """Call a function with this status when it is done, or now if it is."""
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        callback(self)

    def finish(self, error: BaseException | None = None) -> None:
        """It is done; later words change nothing."""
        with self._lock:
            if self.done:
                return
            self._error = error
            self._done.set()
        for callback in self._callbacks:
            callback(self)

    def _wait(self, timeout: float | None) -> None:
        if not self._done.wait(timeout):
            raise TimeoutError(f"not done after {timeout:g} s")
