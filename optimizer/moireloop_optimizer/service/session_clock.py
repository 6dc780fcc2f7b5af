"""How long the present session of a campaign has been running, and whether it takes candidates (pure)."""

from __future__ import annotations

from moireloop_broker.contract.events import CampaignChanged


class SessionClock:
    """A session begins when the campaign starts or is resumed; it ends when it drains, stops or completes.

    The order follows the log, not the times in it. The times come from clocks that may be set, or may differ between
    the machines of two sessions.
    """

    def __init__(self) -> None:
        self._known: set[tuple[str, float]] = set()
        self._began_s: float | None = None
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the campaign drains, stopped or is complete, so that nothing is to be proposed."""
        return self._closed

    def changed(self, event: CampaignChanged) -> None:
        """Take in the next change of the campaign's state; one that is known already changes nothing."""
        if (event.state, event.at_s) in self._known:
            return
        self._known.add((event.state, event.at_s))
        self._closed = event.state not in ("started", "resumed")
        if not self._closed:
            self._began_s = event.at_s

    @property
    def began_s(self) -> float | None:
        """When the session began by the log, in seconds since the epoch; None before the campaign has started."""
        return self._began_s

    def elapsed_s(self, now_s: float) -> float:
        """Seconds from the beginning of the session until now; 0 before the campaign has started."""
        return 0.0 if self._began_s is None else max(0.0, now_s - self._began_s)
