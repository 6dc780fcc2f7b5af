"""Sets of candidate names."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from moireloop_optimizer.service.candidate_names import LONGEST_GAP, CandidateNames, candidate_id

names = st.one_of(
    st.integers(0, 2000).map(candidate_id),
    st.integers(0, 10**12).map(candidate_id),
    st.sampled_from(
        [
            "guest",
            "c1",
            "c000001",
            "c00001.0",
            "c\u0660\u0660\u0660\u0660\u0661",
            f"c{LONGEST_GAP}",
            f"c{2 * LONGEST_GAP}",
        ]
    ),
)


@given(st.lists(names, max_size=40), st.lists(names, max_size=40))
def test_it_is_a_set(added: list[str], others: list[str]) -> None:
    """Whatever the names look like, and in whatever order they come."""
    found = CandidateNames()
    for number, name in enumerate(added):
        found.add(name)
        assert all(known in found for known in added[: number + 1])
    assert [name in found for name in others] == [name in set(added) for name in others]


def test_names_of_a_long_campaign_take_a_bit_each() -> None:
    """One from outside with an enormous number takes no more than its text."""
    found = CandidateNames()
    for number in range(1, 50_001):
        found.add(candidate_id(number))
    found.add("c999999999")
    assert sum(sys.getsizeof(part) for part in vars(found).values()) < 10_000
    assert "c999999999" in found
    assert "c50001" not in found
