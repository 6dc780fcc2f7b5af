"""The page on messages quotes what programs say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("broker", "worker", "analyzer", "optimizer", "campaign", "gateway")
QUOTED = re.compile(r"\*\*`([^`]+)`\*\*")
JOINED = re.compile(r"[\"']\s*\n\s*f?[\"']")
"""Where the parser of Python puts two literals together."""


def messages() -> list[str]:
    """The words of messages that the page explains."""
    return QUOTED.findall((ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sources() -> str:
    """All source files, with literals that span lines put together."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return JOINED.sub("", "\n".join(path.read_text(encoding="utf-8") for path in paths))


def test_page_explains_messages() -> None:
    """The pattern above finds them."""
    assert len(messages()) > 20


@pytest.mark.parametrize("message", messages())
def test_message_is_said(message: str, sources: str) -> None:
    """In a source file, word for word."""
    assert message in sources
