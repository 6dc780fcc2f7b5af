"""What the guard does with requests that no browser would send: each gets a line, none a fault."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from moireloop_gateway.access import Tokens
from moireloop_gateway.web.guard import CSRF_HEADER, Guard, Limits

TOKENS = Tokens("steer", "look")

OURS = (b"host", b"127.0.0.1:8765")


async def length(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how long the body is."""
    body = await Request(scope, receive).body()
    await JSONResponse({"length": len(body)})(scope, receive, send)


GUARDED = Guard(length, TOKENS, frozenset({"127.0.0.1"}), secure=False)


def asked(
    path: str = "/",
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    query: str = "",
    parts: tuple[bytes, ...] = (),
    guard: Guard | None = None,
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer to one request."""
    sent: list[Any] = []
    left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    left.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "scheme": "http", "method": method, "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": query.encode("latin-1"), "headers": list(headers),
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8765),
    }  # fmt: skip
    asyncio.run((guard or GUARDED)(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), body


@pytest.mark.parametrize(
    "host", [b"[", b"[::1", b"]", b"", b"evil.example", b"127.0.0.1.evil.example", b"\xff", b"a" * 9000]
)
def test_no_other_name_and_no_nonsense_is_this_host(host: bytes) -> None:
    """Also where the header is no name at all."""
    code, _, body = asked("/", (b"host", host), (b"authorization", b"Bearer look"))
    assert (code, json.loads(body)["error"]) == (421, "UnknownHost")


@pytest.mark.parametrize("token", [b"", b"\xe9", b"look\x00", b"x" * 9000, b"Bearer look"])
def test_a_token_that_is_none_is_refused(token: bytes) -> None:
    """Whatever bytes it has."""
    assert asked("/", OURS, (b"authorization", b"Bearer " + token))[0] in (401, 429)
    assert asked("/", OURS, (b"cookie", b"moireloop_gateway=" + token))[0] in (401, 429)


def test_the_link_goes_on_to_an_address_of_the_gateway() -> None:
    """Whatever stands in it: no other machine, no second header, nothing that headers cannot hold."""
    for path in ("//evil.example/", "/\\evil.example", "/€", "/a\r\nset-cookie: x=y"):
        code, headers, _ = asked(path, OURS, query="token=look&x=%0d%0a")
        assert code == 303
        location = headers[b"location"].decode("ascii")
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert location.isprintable()


@pytest.mark.parametrize("origin", [b"http://[", b"null", b"", b"http://evil.example", b"\xff"])
def test_changes_come_from_the_gateways_own_pages(origin: bytes) -> None:
    """Another origin, or none that can be read, changes nothing by cookie."""
    cookie = (b"cookie", b"moireloop_gateway=" + TOKENS.cookie("controller").encode())
    csrf = (CSRF_HEADER.encode(), TOKENS.csrf("controller").encode())
    code, _, body = asked("/", OURS, cookie, csrf, (b"origin", origin), method="POST")
    assert (code, json.loads(body)["error"]) == (403, "OtherOrigin")
    assert asked("/", OURS, cookie, csrf, (b"origin", b"http://127.0.0.1:8765"), method="POST")[0] == 200


def test_a_body_that_says_no_length_is_cut_off() -> None:
    """A body in parts is read no further than the limit."""
    bearer = (b"authorization", b"Bearer steer")
    code, _, body = asked("/", OURS, bearer, method="POST", parts=(b"x" * 40_000, b"y" * 40_000))
    assert (code, json.loads(body)["error"]) == (413, "TooLarge")


def test_those_without_a_token_use_up_nothing_of_those_with_one() -> None:
    """At the same address, as behind a forwarded port: wrong tokens, none, and an observer's haste each count alone."""
    scarce = Limits(requests_per_s=1e-9, burst=3, refusals_per_s=1e-9, refusal_burst=2)
    guard = Guard(length, TOKENS, frozenset({"127.0.0.1"}), limits=scarce)

    def codes(*headers: tuple[bytes, bytes]) -> list[int]:
        return [asked("/", OURS, *headers, guard=guard)[0] for _ in range(5)]

    assert codes((b"authorization", b"Bearer wrong")) == [401, 401, 429, 429, 429]
    assert codes() == [401, 401, 401, 429, 429]
    for token in (b"look", b"steer"):
        assert codes((b"authorization", b"Bearer " + token)) == [200, 200, 200, 429, 429]
