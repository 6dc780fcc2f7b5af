"""Publishes documents to bluesky's 0MQ proxy in the format of bluesky's Publisher, each once (adapter).

bluesky's own Publisher drops documents while the proxy does not listen. This one waits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgpack
import zmq
import zmq.auth

from moireloop.bluesky.documents import Document, Place
from moireloop_broker.network.ports import is_loopback
from moireloop_broker.processes.file_lock import locks_within

ADDRESS: Final = re.compile(r"(?:(?P<way>tcp)://)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>[0-9]{1,5})|ipc://.+")

REPORT_AFTER_S: Final = 0.7

LOOK_MS: Final = 200

LINGER_MS: Final = 5000

PLACE_BYTES: Final = 64

SERIALIZERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "msgpack": msgpack.packb,
    "json": lambda document: json.dumps(document).encode(),
    "pickle": pickle.dumps,
}
"""How to serialize a document. bluesky's dispatcher unpickles unless it is given a deserializer."""


class WrongAddress(ValueError):
    """Documents cannot be published to this address; the message says why and what to do."""


class AlreadyPublished(RuntimeError):
    """Another process on this machine already publishes this campaign to this address."""


class Publisher:
    """Sends documents to a proxy; waits until it listens.

    Args:
        address: of the proxy's inner side, such as tcp://127.0.0.1:5567.
        serializer: one of SERIALIZERS.
        prefix: put before each message, for dispatchers that filter by it.
        keys: files with this publisher's CURVE secret key and the proxy's public key.
        plaintext: whether documents may go to another machine unencrypted.
        report: called with a line when nothing listens, and again when the proxy listens.

    Raises:
        WrongAddress: the address, prefix or a key is invalid.
    """

    def __init__(
        self,
        address: str,
        serializer: str = "msgpack",
        *,
        prefix: str = "",
        keys: tuple[Path, Path] | None = None,
        plaintext: bool = False,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.address = _checked(address, keys is not None or plaintext)
        self._serialize, self._prefix, self._report = SERIALIZERS[serializer], _checked_prefix(prefix), report
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger, self._socket.sndhwm = LINGER_MS, 0
        if keys is not None:
            _secure(self._socket, *keys)
        self._socket.connect(self.address)
        self._listening: set[bytes] = set()

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        """Send a document, as soon as something listens."""
        self._wait_for_listener()
        self._socket.send(b" ".join((self._prefix, name.encode(), self._serialize(document))))

    def close(self) -> None:
        """Send what is queued, for at most five seconds, and close."""
        self._socket.close()
        self._context.term()

    def _wait_for_listener(self) -> None:
        self._hear(0)
        begun_s, has_reported = time.monotonic(), False
        while not self._listening:
            if not has_reported and time.monotonic() - begun_s > REPORT_AFTER_S:
                self._report(f"nothing listens at {self.address}; waiting for a bluesky-0MQ-proxy there")
                has_reported = True
            self._hear(LOOK_MS)
        if has_reported:
            self._report(f"the proxy at {self.address} listens now")

    def _hear(self, wait_ms: int) -> None:
        """Note subscribers that came or left."""
        while self._socket.poll(wait_ms):
            word = self._socket.recv()
            (self._listening.add if word[:1] == b"\x01" else self._listening.discard)(word[1:])
            wait_ms = 0


class Progress:
    """The log entry up to which a campaign was published to an address, kept in a file of the user's state.

    Only one process at a time can hold it. Raises AlreadyPublished, OSError.
    """

    def __init__(self, campaign_id: str, address: str, folder: Path | None = None) -> None:
        folder = state_folder() if folder is None else folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        named = hashlib.sha256(f"{campaign_id} {address}".encode()).hexdigest()[:32]
        self.path = folder / f"{named}.place"
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        if not locks_within(self._file, 0.0):
            os.close(self._file)
            raise AlreadyPublished(f"another process publishes this campaign to {address}; one is enough")
        self.place = self._read()

    def reached(self, place: Place) -> None:
        """Note that all documents up to this entry were sent."""
        (milliseconds, number), kind = place
        os.pwrite(self._file, f"{milliseconds} {number} {kind}".ljust(PLACE_BYTES - 1).encode() + b"\n", 0)
        self.place = place

    def forget(self) -> None:
        """Start over: nothing was published."""
        os.ftruncate(self._file, 0)
        self.place = None

    def close(self) -> None:
        """Release the file for another process."""
        os.close(self._file)

    def _read(self) -> Place | None:
        with contextlib.suppress(ValueError):
            milliseconds, number, kind = os.pread(self._file, PLACE_BYTES, 0).split()
            return (int(milliseconds), int(number)), int(kind)
        return None


def state_folder() -> Path:
    """The folder for persistent state of a user's programs (XDG base directories)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local/state") / "moireloop/bluesky"


def publish(documents: list[Document], place: Place, publisher: Publisher, progress: Progress) -> int:
    """Send the documents of an entry unless they were sent before; returns how many were sent."""
    if progress.place is not None and place <= progress.place:
        return 0
    for name, document in documents:
        publisher(name, document)
    progress.reached(place)
    return len(documents)


def _checked(address: str, is_safe: bool) -> str:
    parts = ADDRESS.fullmatch(address)
    if parts is None or int(parts["port"] or 1) not in range(1, 65536):
        raise WrongAddress(f"expected an address such as tcp://127.0.0.1:5567 or ipc:///tmp/socket, got {address!r}")
    if parts["host"] is None:
        return address
    if not (is_safe or is_loopback(parts["host"].strip("[]"))):
        raise WrongAddress(
            f"{address} is on another machine, and documents would travel there unencrypted: give --secret-key and "
            f"--server-key, or --plaintext"
        )
    return f"tcp://{parts['host']}:{parts['port']}"


def _checked_prefix(prefix: str) -> bytes:
    if " " in prefix:
        raise WrongAddress(f"expected a prefix without spaces, got {prefix!r}")
    return prefix.encode()


def _secure(socket: zmq.Socket[bytes], secret_file: Path, server_file: Path) -> None:
    try:
        public, secret = zmq.auth.load_certificate(secret_file)
        server, _ = zmq.auth.load_certificate(server_file)
    except (OSError, ValueError) as error:
        raise WrongAddress(f"a CURVE key cannot be read: {error}") from error
    if secret is None:
        raise WrongAddress(f"{secret_file}: expected a CURVE secret key, got only a public key")
    socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = public, secret, server
