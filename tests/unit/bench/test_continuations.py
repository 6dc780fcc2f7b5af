"""The bench of continuations: how often they part, and what knowing them is worth."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.continuations import FILE, LOOKS, Continued, keep, kept, known, parted

AGREED = (8.2, 8.2, 8.25, 8.2, 8.2)
SPLIT = (8.2, 8.2, 8.2, 8.2, 2.5)
MOLTEN = (None, None, 8.2, 8.2, 8.2)


def continued(*twists: tuple[float | None, ...]) -> Continued:
    return Continued(LOOKS[: len(twists)], twists)


def test_pairs_that_part_are_counted_at_each_look() -> None:
    """One of five elsewhere: four of ten pairs. Two without a twist agree with each other alone: six of ten pairs."""
    assert parted([continued(AGREED, SPLIT), continued(MOLTEN, AGREED)]) == {0.35: 0.3, 0.45: 0.2}


def test_a_run_ends_where_the_others_agree() -> None:
    """Four of the five runs see the other one elsewhere and go on to the next look; the fifth one ends and is wrong."""
    ends = known([continued(SPLIT, AGREED)], 1)
    assert (ends.ended, ends.wrong) == (1.0, 0.2)
    assert ends.saved == pytest.approx((0.65 + 4 * 0.55) / 5)


def test_two_looks_must_agree_where_two_are_asked_for() -> None:
    """No run ends at the first look; none at the second one either if the first one disagrees with it."""
    assert known([continued(AGREED, AGREED)], 2).saved == pytest.approx(0.55)
    assert known([continued(SPLIT, AGREED)], 2).ended == 0.0
    assert known([continued((2.5,) * 5, AGREED)], 2).ended == 0.0


def test_runs_without_a_twist_end_nowhere() -> None:
    """What has no twist agrees on none."""
    assert known([continued((None,) * 5)], 1).ended == 0.0


def test_a_file_holds_what_was_kept(tmp_path: Path) -> None:
    """To a thousandth of a degree, runs without a twist as well."""
    runs = {3: continued(AGREED, MOLTEN), 7: continued(SPLIT, AGREED)}
    keep(runs, tmp_path / "runs.parquet")
    assert kept(tmp_path / "runs.parquet") == list(runs.values())


def test_kept_runs_are_whole() -> None:
    """Each run has its own twist and four continuations at each look, the same own twist at all of them."""
    found = kept(FILE)
    assert len(found) >= 100
    for run in found:
        assert run.looks == LOOKS
        assert [len(twists) for twists in run.twists] == [5] * len(LOOKS)
        assert len({twists[0] for twists in run.twists}) == 1
