"""What stands before every endpoint: host, rate, token or cookie, role, forgery, size (adapter)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from moireloop_gateway.access import RateLimit, Role, Tokens

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "moireloop_gateway"

CSRF_HEADER: Final = "x-moireloop-csrf"

CHANGES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

SECURITY_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
     b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What a caller may use up.

    `requests_per_s` and `burst` are of one role at one address, `refusals_per_s` and `refusal_burst` of wrong tokens
    from it.
    """

    body_bytes: int = 64 * 1024
    requests_per_s: float = 100.0
    burst: float = 400.0
    refusals_per_s: float = 1.0
    refusal_burst: float = 20.0


class Refusal(Exception):
    """A request that goes no further; `retry_s` is when to try again."""

    def __init__(self, code: int, error: str, message: str, retry_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.error = error
        self.message = message
        self.retry_s = retry_s


class Guard:
    """The middleware around the application. A request that passes has `scope["role"]`.

    Args:
        hosts: names by which the gateway may be called; others are refused, such as a rebound DNS name.
        origins: origins of other sites' pages that may read with their own token; none by default.
        secure: whether cookies go only over TLS.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        hosts: frozenset[str],
        *,
        origins: frozenset[str] = frozenset(),
        secure: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._hosts = hosts
        self._origins = origins
        self._secure = secure
        self._limits = limits or Limits()
        self._rate = RateLimit(self._limits.requests_per_s, self._limits.burst)
        self._refusals = RateLimit(self._limits.refusals_per_s, self._limits.refusal_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it with a reason."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get("origin", "")
        sender = _Sender(send, origin if origin in self._origins else None)
        try:
            if scope["method"] == "OPTIONS" and origin in self._origins:
                await sender.preflight()
                return
            if (link := self._enter(scope, headers)) is not None:
                await sender.redirect(link, self._cookie(scope["role"]))
                return
            await self._app(scope, _limited(receive, self._limits.body_bytes), sender)
        except Refusal as refusal:
            await sender.refuse(refusal, wants_page="text/html" in headers.get("accept", ""))

    def _enter(self, scope: Scope, headers: Mapping[str, str]) -> str | None:
        """Set the caller's role; returns the address to redirect to if a link has brought a token. Raises Refusal."""
        if _name_of(headers.get("host", "")) not in self._hosts:
            raise Refusal(421, "UnknownHost", "this gateway is not known under that name; name it with --name")
        caller = scope["client"][0] if scope.get("client") else "local"
        if int(headers.get("content-length", "0") or 0) > self._limits.body_bytes:
            raise Refusal(413, "TooLarge", f"expected at most {self._limits.body_bytes} bytes")
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if "token" in query and scope["method"] == "GET" and not scope["path"].startswith("/api/"):
            scope["role"] = self._role(caller, query.pop("token"), None)
            return quote(str(scope["path"])) + (f"?{urlencode(query)}" if query else "")
        bearer = headers.get("authorization", "")
        token = bearer[7:].strip() if bearer[:7].lower() == "bearer " else None
        scope["role"] = role = self._role(caller, token, _cookie_in(headers.get("cookie", "")))
        if scope["method"] in CHANGES:
            self._refuse_forgery(headers, role, by_cookie=token is None)
        return None

    def _role(self, caller: str, token: str | None, cookie: str | None) -> Role:
        """The role that a token or cookie gives. Those who have one share no limit with those who have none."""
        role = self._tokens.role_of_token(token) if token is not None else None
        if token is None and cookie is not None:
            role = self._tokens.role_of_cookie(cookie)
        if role is not None or (token is None and cookie is None):
            self._refuse_haste(f"{caller} {role}")
        if role is not None:
            return role
        if token is None and cookie is None:
            raise Refusal(401, "NoToken", "expected a token: open the link that `moireloop dashboard` has printed")
        if (wait_s := self._refusals.wait_s(caller, time.monotonic())) > 0:
            raise Refusal(429, "TooManyRequests", "too many wrong tokens; try again later", wait_s)
        raise Refusal(401, "WrongToken", "this gateway does not accept this token, or no longer; open its new link")

    def _refuse_haste(self, caller: str) -> None:
        if (wait_s := self._rate.wait_s(caller, time.monotonic())) > 0:
            raise Refusal(429, "TooManyRequests", "too many requests; try again later", wait_s)

    def _refuse_forgery(self, headers: Mapping[str, str], role: Role, *, by_cookie: bool) -> None:
        if role != "controller":
            raise Refusal(403, "NotAllowed", "this token may look but not steer; use the controller's")
        if not by_cookie:
            return
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            raise Refusal(403, "OtherOrigin", "changes are accepted only from the gateway's own pages")
        if headers.get(CSRF_HEADER) != self._tokens.csrf(role):
            raise Refusal(403, "NoCsrfHeader", f"expected the header {CSRF_HEADER} that /api/v1/session gives")

    def _cookie(self, role: Role) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{COOKIE}={self._tokens.cookie(role)}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000{secure}"


class _Sender:
    """Sends with the headers that every answer has."""

    def __init__(self, send: Send, origin: str | None) -> None:
        self._send = send
        self._origin = origin

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *self._more()]}
        await self._send(message)

    def _more(self) -> list[tuple[bytes, bytes]]:
        if self._origin is None:
            return list(SECURITY_HEADERS)
        allowed = (b"access-control-allow-origin", self._origin.encode("latin-1"))
        kept = [header for header in SECURITY_HEADERS if header[0] != b"cross-origin-resource-policy"]
        return [*kept, allowed, (b"vary", b"origin")]

    async def refuse(self, refusal: Refusal, *, wants_page: bool) -> None:
        content = {"error": refusal.error, "message": refusal.message}
        body = refusal.message.encode() if wants_page else json.dumps(content).encode()
        kind = b"text/plain; charset=utf-8" if wants_page else b"application/json"
        headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
        if refusal.retry_s is not None:
            headers.append((b"retry-after", str(max(1, round(refusal.retry_s))).encode()))
        if refusal.code == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self._whole(refusal.code, headers, body)

    async def redirect(self, link: str, cookie: str) -> None:
        headers = [(b"location", ("/" + link.lstrip("/\\")).encode("latin-1")), (b"set-cookie", cookie.encode())]
        await self._whole(303, [*headers, (b"cache-control", b"no-store")], b"")

    async def preflight(self) -> None:
        allowed = b"authorization, content-type, last-event-id"
        headers = [
            (b"access-control-allow-headers", allowed),
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-max-age", b"600"),
        ]
        await self._whole(204, headers, b"")

    async def _whole(self, code: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        await self({"type": "http.response.start", "status": code, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _limited(receive: Receive, most_bytes: int) -> Receive:
    """The body of a request, cut off with a refusal where it is longer than it said."""
    came = 0

    async def limited() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > most_bytes:
            raise Refusal(413, "TooLarge", f"expected at most {most_bytes} bytes")
        return message

    return limited


def _cookie_in(header: str) -> str | None:
    try:
        cookie = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie is not None else None


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
