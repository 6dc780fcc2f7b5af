"""What is said when the campaign's disk is full."""

from __future__ import annotations

from pathlib import Path

from moireloop.services.changes import full_disk_hint


def test_full_disk_is_named() -> None:
    """Only where there is no room left, since everything else has its own last words."""
    assert "the disk of /data/search is full" in full_disk_hint(Path("/data/search"), 4096)
    assert full_disk_hint(Path("/data/search"), 10**9) == ""


def test_full_disk_of_redis_is_named_with_the_way_on() -> None:
    """Redis says so itself; a few bytes may be free anyway."""
    said = "MISCONF Errors writing to the AOF file: No space left on device"
    hint = full_disk_hint(Path("/data/search/redis"), 10**9, said)
    assert (
        hint == ", and the disk of /data/search/redis is full; make room there, then continue with `moireloop resume`"
    )
