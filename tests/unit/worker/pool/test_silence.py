"""Workers of which nothing is heard any more."""

from __future__ import annotations

from moireloop_broker.contract.control import WorkerStatus
from moireloop_worker.pool.silence import Silence


def said(seen_s: float, **more: object) -> dict[str, WorkerStatus | None]:
    """The last word of the only worker."""
    return {"w": WorkerStatus.model_validate({"worker": "w", "seen_s": seen_s, **more})}


def test_worker_whose_last_word_stays_the_same_is_silent() -> None:
    """After the patience, counted by the clock of whoever looks; whatever it says ends the silence."""
    silence = Silence(10.0)
    assert [silence.look(said(500.0), now_s) for now_s in (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)] == [[]] * 6
    assert silence.look(said(500.0), 10.5) == ["w"]
    assert silence.look(said(501.0), 11.0) == []
    assert silence.look(said(501.0), 12.0) == []


def test_worker_that_never_came_up_or_ended_is_not_silent() -> None:
    """The launcher is still asked about the one, and knows of the other."""
    silence = Silence(10.0)
    for number in range(15):
        assert silence.look({**said(500.0, phase="starting"), "new": None}, 2.0 * number) == []
    for now_s in (30.0, 32.0):
        assert silence.look(said(600.0), now_s) == []
    assert silence.look({}, 34.0) == []
    assert [silence.look(said(600.0), now_s) for now_s in (36.0, 38.0, 40.0, 42.0)] == [[]] * 4


def test_late_look_starts_over() -> None:
    """Then it was stopped itself, or Redis was away."""
    silence = Silence(10.0)
    assert silence.look(said(500.0), 0.0) == []
    assert silence.look(said(500.0), 60.0) == []
    assert silence.is_due(61.0)
    assert not silence.is_due(60.5)
