"""The gateway's process: addresses, tokens, certificates, and the server that listens (main)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import uvicorn

from moireloop_broker.files import write_synced
from moireloop_broker.network.ports import is_loopback
from moireloop_gateway.access import Tokens
from moireloop_gateway.sources.catalogue import Catalogue, NothingToShow, refuse_nothing
from moireloop_gateway.web.app import create_app
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Guard

PORT: Final = 8765

CLOSES_S: Final = 1

LOOK_EVERY_S: Final = 0.5


class CannotServe(ValueError):
    """The gateway cannot be opened as it was asked for; the text says why and how to fix it."""


@dataclass(frozen=True)
class Listening:
    """Where and how the gateway listens. `port` 0 takes a free one; None PORT, or a free one where that is taken.

    `patience` is how many seconds it waits for a campaign where there is none yet.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    plaintext: bool = False
    tokens: Path | None = None
    origins: tuple[str, ...] = ()
    patience: float = 0.0

    @property
    def scheme(self) -> str:
        """https where there is a certificate."""
        return "http" if self.certificate is None else "https"


def serve(given: Sequence[Path], how: Listening, said: Callable[[str], None], ready: Callable[[str], None]) -> int:
    """Serve until it is interrupted; returns the exit code.

    Args:
        given: campaign files, campaign folders, or folders of many.
        said: called with lines for the person who started it.
        ready: called with the controller's link when the gateway listens.

    Raises:
        NothingToShow, CampaignFileError, CannotServe: the request cannot be served; the text says why.
    """
    refuse_open(how)
    _await_something(given, how.patience, said)
    tokens = kept_tokens(how.tokens)
    bound = _bound(how)
    port = bound.getsockname()[1]
    catalogue = Catalogue(given)
    gateway = Gateway(catalogue, tokens, version("moireloop"))
    names = {"localhost", "127.0.0.1", "::1", how.host.lower(), *(name.lower() for name in how.names)}
    app = Guard(
        create_app(gateway), tokens, frozenset(names), origins=frozenset(how.origins),
        secure=how.certificate is not None,
    )  # fmt: skip
    shown = how.names[0] if how.names else "127.0.0.1" if how.host in ("0.0.0.0", "::") else how.host  # noqa: S104
    link = f"{how.scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}/"
    if may_steer := any(place.steers for place in catalogue.places()):
        said(f"dashboard to steer  {link}?token={tokens.controller}")
    said(f"dashboard to look   {link}?token={tokens.observer}")
    opened = f"{link}?token={tokens.controller if may_steer else tokens.observer}"
    server = _Server(_config(app, how), lambda: ready(opened))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[bound])
    return 0


def _await_something(given: Sequence[Path], patience_s: float, said: Callable[[str], None]) -> None:
    """Wait until there is something to show. Raises NothingToShow, CampaignFileError."""
    deadline_s, shown = time.monotonic() + patience_s, ""
    while True:
        try:
            refuse_nothing(given)
        except NothingToShow as error:
            if time.monotonic() >= deadline_s:
                raise
            if str(error) != shown:
                shown = str(error)
                said(f"waiting, at most {deadline_s - time.monotonic():.0f} s: {shown}")
            time.sleep(LOOK_EVERY_S)
        else:
            return


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _config(app: Guard, how: Listening) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, ws="none",
        ssl_certfile=how.certificate, ssl_keyfile=how.key, timeout_graceful_shutdown=CLOSES_S,
        timeout_keep_alive=30,
    )  # fmt: skip


def refuse_open(how: Listening) -> None:
    """Nothing where tokens stay secret on the way. Raises CannotServe."""
    if (how.certificate is None) != (how.key is None):
        raise CannotServe("expected both --certificate and --key for TLS, got one of them")
    for file in filter(None, (how.certificate, how.key)):
        if not os.access(file, os.R_OK):
            raise CannotServe(f"{file}: expected a file in PEM that can be read, for TLS")
    _refuse_wrong_pair(how.certificate, how.key)
    if not is_loopback(how.host) and how.certificate is None and not how.plaintext:
        raise CannotServe(
            f"{how.host} can be reached from other machines, and without TLS tokens would be sent unencrypted: give "
            f"--certificate and --key, or --plaintext if the network is trusted"
        )


def _refuse_wrong_pair(certificate: Path | None, key: Path | None) -> None:
    if certificate is None or key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise CannotServe(
            f"{certificate} and {key}: expected a certificate and its key without a password, both PEM: {error}"
        ) from error


def _no_password() -> str:
    raise ValueError("the key has a password")


def kept_tokens(file: Path | None) -> Tokens:
    """The tokens in a file, made with it where it is missing; new ones without a file. Raises CannotServe."""
    if file is None:
        return Tokens.new()
    try:
        if not file.exists():
            tokens = Tokens.new()
            write_synced(file, json.dumps(vars(tokens)) + "\n")
            return tokens
        if file.stat().st_mode & 0o077:
            raise CannotServe(f"expected mode 0600 for {file}: others may have read its tokens")
        stored = json.loads(file.read_text(encoding="utf-8"))
        return Tokens(str(stored["controller"]), str(stored["observer"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, CannotServe):
            raise
        raise CannotServe(f"{file} is not a token file: {error}") from error


def _bound(how: Listening) -> socket.socket:
    """A socket that listens, before anything else is begun. Raises CannotServe."""
    family = socket.AF_INET6 if ":" in how.host else socket.AF_INET
    ports = [how.port] if how.port is not None else [PORT, 0]
    for port in ports:
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((how.host, port))
            bound.listen(512)
        except OSError as error:
            bound.close()
            if port == ports[-1]:
                raise CannotServe(f"cannot listen on {how.host}:{port}: {error.strerror or error}") from error
            continue
        return bound
    raise CannotServe(f"cannot listen on {how.host}")


def say(text: str) -> None:
    """A line on stdout, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
