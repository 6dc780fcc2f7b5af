"""Tokens, cookies, and how often a caller may ask."""

from __future__ import annotations

from moireloop_gateway.access import CALLERS_KEPT, RateLimit, Tokens

TOKENS = Tokens("steer", "look")


def test_each_token_gives_its_role() -> None:
    """The controller's token steers, the observer's looks, any other gives nothing."""
    assert TOKENS.role_of_token("steer") == "controller"
    assert TOKENS.role_of_token("look") == "observer"
    for wrong in ("", "steer ", "Steer", "lookk", "é", "\udc80", TOKENS.cookie("controller")):
        assert TOKENS.role_of_token(wrong) is None


def test_a_cookie_is_not_a_token() -> None:
    """A cookie gives the role of its token, and neither the token nor the CSRF value stands for it."""
    assert TOKENS.role_of_cookie(TOKENS.cookie("controller")) == "controller"
    assert TOKENS.role_of_cookie(TOKENS.cookie("observer")) == "observer"
    for wrong in ("steer", "look", TOKENS.csrf("controller"), ""):
        assert TOKENS.role_of_cookie(wrong) is None


def test_cookies_of_other_tokens_are_refused() -> None:
    """A gateway with new tokens knows none of the old cookies."""
    assert Tokens.new().role_of_cookie(TOKENS.cookie("controller")) is None
    assert Tokens.new().controller != Tokens.new().controller


def test_a_bucket_is_emptied_and_filled_again() -> None:
    """A burst passes, then one request for each period; another caller has a separate bucket."""
    limit = RateLimit(per_s=2.0, burst=3.0)
    assert [limit.wait_s("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert limit.wait_s("b", 0.0) == 0.0
    assert limit.wait_s("a", 0.4) > 0.0
    assert limit.wait_s("a", 0.6) == 0.0
    assert limit.wait_s("a", 0.6) > 0.0


def test_callers_are_forgotten() -> None:
    """However many callers come, memory stays bounded."""
    limit = RateLimit(per_s=1.0, burst=1.0)
    for number in range(3 * CALLERS_KEPT):
        limit.wait_s(str(number), 0.0)
    assert len(limit._left) == CALLERS_KEPT
