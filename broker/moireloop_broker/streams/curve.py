"""CURVE keys of a campaign, and the check that admits only its clients (adapter)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from moireloop_broker.processes.log_limit import LogLimit

if TYPE_CHECKING:
    import zmq

log = logging.getLogger(__name__)
log.addFilter(LogLimit())

ZAP_DOMAIN = b"moireloop"


class Curve(BaseModel):
    """Two key pairs in Z85: the services' own, and the one that every client of the campaign shares.

    Who opens no socket of the services needs no `server_secret`, and is given none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    server_public: str
    server_secret: str = ""
    client_public: str
    client_secret: str

    @classmethod
    def generate(cls) -> Self:
        """New random keys."""
        import zmq

        server_public, server_secret = zmq.curve_keypair()
        client_public, client_secret = zmq.curve_keypair()
        return cls(
            server_public=server_public.decode(),
            server_secret=server_secret.decode(),
            client_public=client_public.decode(),
            client_secret=client_secret.decode(),
        )

    def of_a_client(self) -> Self:
        """Only the keys of the connecting side."""
        return self.model_copy(update={"server_secret": ""})

    def secure_server(self, socket: zmq.Socket[bytes]) -> None:
        """Let only clients with the campaign's client key through. Call before bind; needs a running `Gatekeeper`."""
        import zmq

        socket.curve_server = True
        socket.curve_secretkey = self.server_secret.encode()
        socket.zap_domain = ZAP_DOMAIN
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def secure_client(self, socket: zmq.Socket[bytes]) -> None:
        """Present the campaign's client key. Call before connect."""
        socket.curve_serverkey = self.server_public.encode()
        socket.curve_publickey = self.client_public.encode()
        socket.curve_secretkey = self.client_secret.encode()


class Gatekeeper:
    """Answers ZeroMQ's authentication requests of one context: the campaign's client key, and keys with a grant.

    Args:
        is_granted: whether a public key (Z85) has a grant; none has by default.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        curve: Curve,
        is_granted: Callable[[str], bool] = lambda _key: False,
    ) -> None:
        from zmq.auth.thread import ThreadAuthenticator

        self._admitted = curve.client_public.encode()
        self._is_granted = is_granted
        self._lock = threading.Lock()
        self._denied = 0
        self._let_in: set[str] = set()
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(domain=ZAP_DOMAIN.decode(), credentials_provider=self)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether the owner of this public key (Z85) may connect; called by pyzmq."""
        if key == self._admitted:
            return True
        text = key.decode("ascii", "replace")
        admitted = self._is_granted(text)
        if admitted:
            with self._lock:
                self._let_in.add(text)
        else:
            with self._lock:
                self._denied += 1
            log.warning("client refused domain=%s reason=unknown_key", domain)
        return admitted

    def take_denied(self) -> int:
        """How many clients were refused since the last call."""
        with self._lock:
            denied, self._denied = self._denied, 0
        return denied

    def take_revoked(self) -> set[str]:
        """Public keys (Z85) that were let in and no longer have a grant, each returned once."""
        with self._lock:
            revoked = {key for key in self._let_in if not self._is_granted(key)}
            self._let_in -= revoked
            return revoked

    def close(self) -> None:
        """Stop responding."""
        self._authenticator.stop()
