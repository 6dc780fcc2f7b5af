"""What a resumed campaign does differently (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.errors import CampaignFileError, Location, dotted
from moireloop_broker.problems import shown

LONGEST_TEXT: Final = 50

FIXED_ON_RESUME: Final = ("name", "growth", "redis.url")

COMPARED_BY_CONTENT: Final = ("growth.file",)
"""Files that may lie elsewhere than before, since their content is compared where a campaign is resumed."""


def changes_on_resume(old: Campaign, new: Campaign) -> list[str]:
    """What a resumed campaign does otherwise than before, one line a key: `budget.results: 40 -> 80`.

    Bounds, budget, targets, optimizer, workers, analyzers, frames, early end and network may change.

    Raises:
        CampaignFileError: what may not change did: the name, the growth model or its numbers, or the Redis
            server that holds the state. The text names the key, without the file.
    """
    before, after = (dict(_leaves(campaign.model_dump(mode="json", exclude={"folder"}))) for campaign in (old, new))
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    changed = [key for key in changed if key not in COMPARED_BY_CONTENT]
    for key in changed:
        if key in FIXED_ON_RESUME or key.partition(".")[0] in FIXED_ON_RESUME:
            raise CampaignFileError(
                f"{key}: expected {shown(before.get(key))}, with which the campaign was started, got "
                f"{shown(after.get(key))}; a resumed campaign cannot change it"
            )
    return [f"{key}: {_ending(before.get(key))} -> {_ending(after.get(key))}" for key in changed]


def _ending(value: object) -> str:
    """A value as it would be written, of a long text the end: a path differs there."""
    is_long = isinstance(value, str) and len(value) > LONGEST_TEXT
    return shown(f"...{str(value)[-LONGEST_TEXT:]}" if is_long else value)


def _leaves(value: Any, location: Location = ()) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything in nested tables; a list of numbers counts as one value."""
    if isinstance(value, Mapping):
        for name, inside in value.items():
            yield from _leaves(inside, (*location, name))
    elif isinstance(value, list) and any(isinstance(inside, Mapping) for inside in value):
        for number, inside in enumerate(value):
            yield from _leaves(inside, (*location, number))
    else:
        yield dotted(location), value
