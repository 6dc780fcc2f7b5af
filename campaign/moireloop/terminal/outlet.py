"""Standard output and error as they are found: closed, of another encoding, or without a reader (adapter)."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


def open_closed_streams() -> None:
    """Give descriptors 0, 1 and 2 to the null device where they are closed, so that no file or socket gets them."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def write_any_character() -> None:
    """Characters that a terminal cannot show, and names that are no text, are written as escapes, not refused."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def let_go(stream: TextIO) -> None:
    """What is still written goes nowhere, without a word at the end of Python."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Outlet:
    """A stream whose reader may leave: later output is dropped, and the program continues."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text, or drop it."""
        try:
            return self._stream.write(text)
        except BlockingIOError:
            return len(text)
        except (OSError, ValueError):
            let_go(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop the pending output."""
        try:
            self._stream.flush()
        except BlockingIOError:
            return
        except (OSError, ValueError):
            let_go(self._stream)


class OutputFull(OSError):
    """Standard output does not take what is written to it; the text says why."""


class _Told(Outlet):
    """Standard output that says what it is where it cannot be written to."""

    def write(self, text: str) -> int:
        """Write the text. Raises OutputFull."""
        with self._naming_the_stream():
            return self._stream.write(text)

    def flush(self) -> None:
        """Flush. Raises OutputFull."""
        with self._naming_the_stream():
            self._stream.flush()

    @contextmanager
    def _naming_the_stream(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            let_go(self._stream)
            why = "is full" if error.errno == errno.ENOSPC else "cannot be written to"
            raise OutputFull(f"standard output {why}: {error.strerror or error}") from error


@contextmanager
def output_that_is_named() -> Iterator[None]:
    """While the block runs, an error of standard output says that it is one. It is flushed at the end."""
    before = sys.stdout
    sys.stdout = cast("TextIO", _Told(before))
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout = before


@contextmanager
def output_that_may_close() -> Iterator[None]:
    """While the block runs, the program continues even if the terminal output is no longer read."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", Outlet(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before
