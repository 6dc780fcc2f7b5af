"""Reads the pages of the wire, their sections, tables and code blocks, and the test vectors in the package."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from moireloop_broker.contract.wire_schema import vectors

DOCS = Path(__file__).parents[2] / "docs"

PAGE = DOCS / "protocol.md"

SERVICES = DOCS / "protocol-services.md"
"""The page for authors of analyzers and workers."""


@cache
def sections(page: Path = PAGE) -> dict[str, str]:
    """Text of each section by its heading, of whatever level."""
    parts = re.split(r"^#{1,3} (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str, table: int = 0, page: Path = PAGE) -> list[list[str]]:
    """Cells of the rows of one table in a section, without its head."""
    tables = re.findall(r"(?:^\|.*\n)+", sections(page)[section], flags=re.MULTILINE)
    lines = tables[table].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def blocks(section: str, language: str) -> list[str]:
    """The code blocks of one language in a section."""
    return re.findall(rf"^```{language}\n(.*?)^```$", sections()[section], flags=re.MULTILINE | re.DOTALL)


def from_hex(text: str) -> bytes:
    """The bytes of a block of hexadecimal digits."""
    return bytes.fromhex("".join(text.split()))


@cache
def golden_examples() -> dict[str, tuple[dict[str, Any], bytes]]:
    """Per message: the fields of its test vector, and the vector's MessagePack bytes."""
    return {
        vector["message"]: (_with_bin(vector["fields"]), from_hex(vector["packed"])) for vector in vectors()["messages"]
    }


def _with_bin(value: Any) -> Any:
    """JSON knows no bin: the vectors write it as text that begins with 0x."""
    if isinstance(value, dict):
        return {name: _with_bin(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_bin(inner) for inner in value]
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value
