"""When a pool gives back all that it has, since its allocation ends: decisions on times and notices (pure).

Moments are seconds since the epoch; the `now_s` of `is_due` comes from any monotonic clock.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, tzinfo
from typing import Final

ASK_EVERY_S: Final = 1.0
"""Seconds after which a launcher is asked again when its allocation ends. It asks its scheduler more rarely itself."""

LARGEST_SHARE: Final = 1 / 3
"""Of the time from the pool's start to its end, kept as a reserve at most: else a short allocation would do no work."""

MARGIN: Final = 2.0
"""How many times the longest hand-back so far the reserve is at least."""

SPARE_S: Final = 5.0
"""Seconds before the end that are kept for the services: results and state are written down in them."""

REMAINING: Final = re.compile(
    r"(?:(?:(?P<days>\d{1,5})-)?(?P<hours>\d{1,5}):)?(?P<minutes>\d{1,5}):(?P<seconds>[0-5]\d)", re.ASCII
)


class Walltime:
    """What is known of the end of a pool's allocation, and whether it is time to give back.

    Args:
        reserve_s: seconds before the end at which everything is given back.
        opened_s: when the pool was opened.
        until_s: an end given by the user; the earlier one counts if the launcher knows one as well.
        hand_back_s: how long giving back has taken at most, in earlier allocations.
    """

    def __init__(
        self, reserve_s: float, opened_s: float, until_s: float | None = None, hand_back_s: float = 0.0
    ) -> None:
        self._reserve_s = reserve_s
        self._opened_s = opened_s
        self._until_s = until_s
        self._hand_back_s = hand_back_s
        self._told_s: float | None = None
        self._asked_s = -math.inf
        self._notice: str | None = None

    def is_due(self, now_s: float) -> bool:
        """Whether to ask the launcher again."""
        return now_s - self._asked_s >= ASK_EVERY_S

    def set_end(self, ends_s: float | None, now_s: float) -> None:
        """Note the end that the launcher reports. If it no longer reports one, the last one counts."""
        self._asked_s = now_s
        self._told_s = self._told_s if ends_s is None else ends_s

    def notice(self, signal_name: str) -> None:
        """The scheduler or a user has sent a signal that means 'give back now'."""
        self._notice = self._notice or signal_name

    @property
    def ends_s(self) -> float | None:
        """When the allocation ends, as far as is known; None without an end."""
        return min((end for end in (self._until_s, self._told_s) if end is not None), default=None)

    @property
    def reserve_s(self) -> float:
        """Seconds before the end at which everything is given back; never less than twice the longest hand-back."""
        if self.ends_s is None:
            return self._reserve_s
        longest_s = max(0.0, self.ends_s - self._opened_s) * LARGEST_SHARE
        return max(min(self._reserve_s, longest_s), MARGIN * self._hand_back_s)

    @property
    def gives_back_s(self) -> float | None:
        """When everything is given back; None without an end."""
        return None if self.ends_s is None else self.ends_s - self.reserve_s

    def patience_s(self, now_s: float, least_s: float) -> float:
        """How long workers may take to give back, at `now_s` seconds since the epoch: nearly all the time that is left.

        Args:
            least_s: where no end is known, or it is too near.
        """
        return least_s if self.ends_s is None else max(least_s, self.ends_s - now_s - SPARE_S)

    def reason(self, now_s: float) -> str | None:
        """Why to give back now, at `now_s` seconds since the epoch; None while there is no reason."""
        if self._notice is not None:
            return f"{self._notice} says to give everything back"
        if self.ends_s is None or self.gives_back_s is None or now_s < self.gives_back_s:
            return None
        left_s = self.ends_s - now_s
        ends = f"ends in {left_s:.0f} s" if left_s > 0 else "is over"
        return f"the allocation {ends} (reserve {self.reserve_s:.0f} s)"


def will_end_in_time(now_s: float, gives_back_s: float | None, run_s: float | None) -> bool:
    """Whether a run that nothing can carry on is worth beginning: by all that is known it ends before the hand-back.

    Args:
        gives_back_s: when everything is given back; None without an end.
        run_s: how long runs have taken, in seconds; None before the first.
    """
    return gives_back_s is None or now_s + (run_s or 0.0) < gives_back_s


def end_of_text(text: str, now_s: float, zone: tzinfo | None = None) -> float:
    """The end that a text names: a time in ISO 8601, or what remains from now on as [[D-]HH:]MM:SS.

    Args:
        now_s: seconds since the epoch.
        zone: of ISO times that name none; None is the machine's own.

    Raises:
        ValueError: the text names no time, or one that is over.
    """
    left_s = remaining_s(text)
    end_s = _of_iso(text.strip(), zone) if left_s is None else now_s + left_s
    if end_s <= now_s:
        raise ValueError(f"expected a time in the future, got {text!r}, which is over")
    return end_s


def remaining_s(text: str) -> int | None:
    """The seconds that a text of the form [[D-]HH:]MM:SS means; None where it has another form."""
    if (match := REMAINING.fullmatch(text.strip())) is None:
        return None
    days, hours, minutes, seconds = (int(match[name] or 0) for name in ("days", "hours", "minutes", "seconds"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _of_iso(text: str, zone: tzinfo | None) -> float:
    try:
        read = datetime.fromisoformat(text)
        local = read if read.tzinfo else read.replace(tzinfo=zone) if zone else read.astimezone()
        return local.astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"expected a time such as 2026-11-30T08:00, or what remains as HH:MM:SS, got {text!r}"
        ) from None
