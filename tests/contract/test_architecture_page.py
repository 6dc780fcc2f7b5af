"""docs/architecture.md and the code say the same of Redis keys, packages and modules."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from moireloop_broker.state.keys import KEYS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PARTS = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
SECTIONS = dict(zip(PARTS[1::2], PARTS[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """Cells of the rows of a section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_redis_keys() -> None:
    """The table is the one of the code."""
    assert rows("Redis keys") == [[f"`{key.name}`", key.type, key.writer, key.lifetime] for key in KEYS]


def test_packages() -> None:
    """The table of the house has all six packages, each in its folder."""
    for folder, package, *_ in rows("The house"):
        assert (ROOT / folder.strip("`/") / package.strip("`") / "__init__.py").exists()
    assert len(rows("The house")) == 6


def test_modules_are_there() -> None:
    """Every module that the page names exists."""
    named = sorted(set(re.findall(r"`(moireloop(?:_\w+)?\.[\w.]+)`", PAGE)))
    assert len(named) > 30
    assert [name for name in named if name != "moireloop.connect" and importlib.util.find_spec(name) is None] == []


def test_no_service_is_forgotten() -> None:
    """Each program that a service is started with stands in the tree of processes."""
    programs = {
        path.parent.name
        for folder in ("broker", "worker", "analyzer", "optimizer")
        for path in (ROOT / folder).rglob("__main__.py")
    } | {"moireloop_worker.pool.service", "moireloop_optimizer.service.fit_process"}
    assert [program for program in programs if not re.search(rf"{program}\b", SECTIONS["Processes"])] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=lambda path: path.stem)
def test_decisions_are_short_and_whole(path: Path) -> None:
    """A decision has a number, a title, its date and status, and the sections Why and What follows.

    At most 42 lines of under 120 characters, which is one page: a limit of 32 lines was met by lines of 200 characters.
    """
    text = path.read_text(encoding="utf-8")
    assert re.match(rf"# {path.stem[:4]} [A-Z]", text)
    assert re.search(r"^Accepted, \d{4}-\d\d-\d\d\.", text, flags=re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Why", "What follows"]
    assert len(text.splitlines()) <= 42


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page points to a file that is there."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
