"""Phrases that nobody says, and that have been removed once: they do not come back into pages, code or messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "broker",
    "worker",
    "analyzer",
    "optimizer",
    "campaign",
    "gateway",
    "bench",
    "examples",
    "docs",
    "docker",
    "tests",
)
ENDINGS = {".py", ".md", ".toml", ".js", ".html", ".lua", ".in"}
UNSAID = {
    r"\b(is|are|was|were|be|been) told\b": "gets, receives, is reported",
    r"\bcannot be told\b": "is unknown, is unclear",
    r"\bto be had\b": "is available",
    r"\bmanyeth\b": "how many times",
    r"\bone's own\b": "your own",
    r"\bby whose\b": "say what ranks or chooses",
    r"\bhits is run again\b": "recipes that hit get replicates",
    r"; answers (the|its|what|how|whether)\b": "returns",
    r"\bin the place of\b": "instead of, replaces",
    r"\bdoes not answer\b": "does not respond",
    r"\bsomebody else (deleted|wrote|changed)\b": "another program deleted it",
    r"\bone that is (there|new)\b, got": "expected a new name, a new file",
    r"\bsomething else than\b": "is not a file",
    r"\bno last words\b": "no output",
    r"\bsaid what is no\b": "sent an invalid reply",
    r"\bsent what is no\b": "sent an invalid message",
    r"\bunasked\b": "unexpectedly",
    r"\bis only starting\b": "is still starting",
    r"\bmend that, then\b": "fix that, then run",
    r"\bthe surest\b": "the best",
    r"-- [^\"]{0,200}\. Answers\b": "Returns, in the heading of a Lua script",
    r"\bform no triangular\b": "do not form a triangular lattice",
    r"\btells of no\b": "reports no",
    r"\bhas said nothing for \{": "has not reported for",
    r"\bcame to their end\b": "ended",
    r"\bno layer bears\b": "no layer can be strained by more",
    r"\bforetell|\bforetold\b": "predict",
    r"\bforerunner": "predecessor",
    r"\btold apart\b": "distinguished, separated, classified",
    r"\b(begins?|begun|made|written|drawn) anew\b": "starts over, is made again",
    r"\ball the same[,.;]": "anyway",
    r"\bis of (no|any) use\b": "does not help",
    r"\b(process|thread|folder|session|container) of its own\b": "its own process, a separate thread",
    r"\bnone of ours\b": "not ours",
    r"\b[Nn]othing answers\b": "nothing responds",
    r"\bthe text tells\b": "the message says",
}
"""What is not said, as a pattern over text with single blanks, and what is."""


def texts() -> dict[Path, str]:
    """Every page and every source file, each with single blanks; whole lines of comments run on."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in ENDINGS]
    paths.remove(Path(__file__))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return {path: re.sub(r"\s+#?\s*", " ", path.read_text(encoding="utf-8")) for path in [*paths, *pages]}


@pytest.fixture(scope="module")
def everything() -> dict[Path, str]:
    """The texts, read once."""
    return texts()


@pytest.mark.parametrize("phrase", UNSAID)
def test_phrase_is_not_said(phrase: str, everything: dict[Path, str]) -> None:
    """The value beside the pattern says what to write."""
    found = [
        f"{path.relative_to(ROOT)}: ...{text[max(0, hit.start() - 40) : hit.end() + 30]}..."
        for path, text in everything.items()
        for hit in re.finditer(phrase, text)
    ]
    assert found == [], f"say: {UNSAID[phrase]}"


PRINTED = ("|", "  |", "    ", "< ", "> ", "moireloop_")
"""How rows of tables begin, and lines that a program prints."""


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docker", "docs"])
def test_lines_are_short(page: str) -> None:
    """Under 120 characters; rows of tables, and what a program prints, are as long as they are."""
    for path in (ROOT / page).rglob("*.md") if (ROOT / page).is_dir() else [ROOT / page]:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if len(line) >= 120 and not line.startswith(PRINTED)] == []
