"""How long a session is waited for, and when there is nothing left to wait for."""

from __future__ import annotations

from pathlib import Path

from moireloop_broker.membership.attendance import Asked, await_session
from moireloop_broker.membership.session import SessionEnded


def test_ended_campaign_is_not_waited_for_where_only_a_session_that_comes_is() -> None:
    """A pool that waits for the next session leaves at once when that one has ended before it could join."""
    nobody = Asked.__new__(Asked)
    nobody.stopped = False
    said: list[str] = []

    def find(_file: Path) -> None:
        raise SessionEnded("the campaign short is completed")

    assert await_session(find, Path("connection.json"), 330.0, nobody, said.append, ended_s=0.0) is None
    assert said == ["the campaign short is completed; there is nothing to join"]
