"""docs/glossary.md is in order, and the names that it quotes are names of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moireloop_broker.contract.events import CampaignChanged, Result

ROOT = Path(__file__).parents[2]
PACKAGES = ("broker", "worker", "analyzer", "optimizer", "campaign")
ENTRIES = dict(
    re.findall(
        r"^\*\*(.+?)\*\*: (.+?)(?=\n\n|\Z)", (ROOT / "docs" / "glossary.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
)


@pytest.fixture(scope="session")
def sources() -> str:
    """The text of all modules of the five packages."""
    return "\n".join(path.read_text() for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))


def test_words_are_in_order() -> None:
    """Alphabetical, so that a word is found at a glance."""
    assert len(ENTRIES) > 40
    assert list(ENTRIES) == sorted(ENTRIES)


@pytest.mark.parametrize("word", ENTRIES)
def test_quoted_names_are_names_of_the_code(word: str, sources: str) -> None:
    """Whatever stands in backticks occurs in the code."""
    quoted = [name.removeprefix("moireloop ") for name in re.findall(r"`([^`]+)`", ENTRIES[word])]
    assert [name for name in quoted if not re.search(rf"\b{re.escape(name)}\b", sources)] == []


def choices(field: object) -> set[str]:
    return set(re.findall(r"'(\w+)'", str(field)))


def test_outcomes_and_states_are_those_of_the_contract() -> None:
    """The glossary names all outcomes of a candidate and all states of a campaign."""
    for word, field in (
        ("outcome", Result.model_fields["outcome"]),
        ("campaign", CampaignChanged.model_fields["state"]),
    ):
        assert set(re.findall(r"`(\w+)`", ENTRIES[word])) == choices(field.annotation)


def test_words_of_the_contract_are_explained() -> None:
    """What travels under its own name has an entry."""
    assert {"candidate", "result", "observation", "measurement", "frame", "stamp", "run", "lease", "event"} <= set(
        ENTRIES
    )
