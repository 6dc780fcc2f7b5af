"""Reads docs/protocol.md: its sections, tables and code blocks."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


@cache
def sections() -> dict[str, str]:
    """Text of each section by its heading, of whatever level."""
    parts = re.split(r"^#{1,3} (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str, table: int = 0) -> list[list[str]]:
    """Cells of the rows of one table in a section, without its head."""
    tables = re.findall(r"(?:^\|.*\n)+", sections()[section], flags=re.MULTILINE)
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
    """Per message: the fields of its example, and the example's MessagePack bytes."""
    examples = {}
    for section in sections():
        if written := blocks(section, "hex"):
            (fields,), (packed,) = blocks(section, "json"), written
            examples[section] = (_with_bin(json.loads(fields)), from_hex(packed))
    return examples


def _with_bin(value: Any) -> Any:
    """JSON knows no bin: the page writes it as text that begins with 0x."""
    if isinstance(value, dict):
        return {name: _with_bin(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_bin(inner) for inner in value]
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value
