"""Access control: tokens, cookies derived from them, and a rate limit for each caller (pure)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["observer", "controller"]

CALLERS_KEPT: Final = 1000


@dataclass(frozen=True)
class Tokens:
    """The tokens of both roles: an observer looks, a controller can also steer.

    A cookie is derived from its token. It stays valid when a gateway restarts with the same tokens, and it reveals
    nothing of the token.
    """

    controller: str
    observer: str

    @classmethod
    def new(cls) -> Tokens:
        """Tokens of 192 random bits each."""
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24))

    def role_of_token(self, token: str) -> Role | None:
        """The role of a token; None if it is unknown."""
        return self._role(token, {"controller": self.controller, "observer": self.observer})

    def role_of_cookie(self, cookie: str) -> Role | None:
        """The role of a cookie; None if it is unknown."""
        return self._role(cookie, {role: self.cookie(role) for role in ("controller", "observer")})

    def cookie(self, role: str) -> str:
        """The cookie of a role."""
        return _digest(self._token(role), "cookie")

    def csrf(self, role: str) -> str:
        """The value that a page sends in a header with each change; a page of another origin cannot read it."""
        return _digest(self._token(role), "csrf")

    def _token(self, role: str) -> str:
        return self.controller if role == "controller" else self.observer

    def _role(self, given: str, known: dict[str, str]) -> Role | None:
        role_found: Role | None = None
        for role, expected in known.items():
            if hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
                role_found = "controller" if role == "controller" else "observer"
        return role_found


def _digest(token: str, purpose: str) -> str:
    return hmac.new(token.encode(), f"moireloop gateway {purpose}".encode(), hashlib.sha256).hexdigest()


class RateLimit:
    """A token bucket for each caller, refilled at a steady rate.

    Args:
        per_s: sustained requests per second.
        burst: requests allowed at once.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, caller: str, now_s: float) -> float:
        """Seconds after which to try again; 0, and the call is counted, if the caller may continue."""
        left, since_s = self._left.pop(caller, (self._burst, now_s))
        left = min(self._burst, left + (now_s - since_s) * self._per_s)
        allowed = left >= 1.0
        self._left[caller] = (left - 1.0 if allowed else left, now_s)
        if len(self._left) > CALLERS_KEPT:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._per_s
