"""Writes the tables of the reference pages from the code: `make reference`.

A page has its prose and, between `<!-- begin KIND NAME -->` and `<!-- end -->`, what this program puts there. A test
fails when a page is stale.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

PAGES = Path(__file__).parents[1] / "reference"
BLOCK = re.compile(r"(<!-- begin (\w+) ?(\S*) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(page: str) -> str:
    """The text of a page with all its blocks rewritten.

    Raises:
        KeyError: a block is of a kind that does not exist.
    """
    return BLOCK.sub(lambda found: f"{found[1]}\n{KINDS[found[2]](found[3])}\n{found[4]}", page)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table that ends with a line break."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def keys(name: str) -> str:
    """The keys of the settings class `MODULE:CLASS`: those that it adds to its base, or gives another default."""
    module, _, cls = name.partition(":")
    model: type[BaseModel] = getattr(import_module(module), cls)
    (base,) = model.__bases__
    inherited = {key: _row(key, field) for key, field in getattr(base, "model_fields", {}).items()}
    rows = {key: _row(key, field) for key, field in model.model_fields.items()}
    return table(("Key", "Default", "Meaning"), [row for key, row in rows.items() if row != inherited.get(key)])


def _row(name: str, field: FieldInfo) -> tuple[str, ...]:
    meaning = (field.description or "").rstrip(".")
    return (f"`{name}`", _default(field), meaning[:1].upper() + meaning[1:])


def _default(field: FieldInfo) -> str:
    """The default of a field; with two presets, the defaults of both."""
    if field.is_required():
        return "required"
    if isinstance(field.json_schema_extra, dict):
        paper, small = (json.dumps(field.json_schema_extra[preset]) for preset in ("paper", "small"))
        return f"`{paper}`; small `{small}`"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


def commands(_: str) -> str:
    """All commands, with what each does."""
    from moireloop.command_line.commands import COMMANDS

    return table(
        ("Command", "What it does"), [(f"[`{name}`](#{name})", command.summary) for name, command in COMMANDS.items()]
    )


def options(_: str) -> str:
    """Each command with its usage and its options."""
    from moireloop.command_line.parser import command_parser

    (subparsers,) = (one for one in command_parser()._actions if isinstance(one, argparse._SubParsersAction))
    return "\n".join(_command(name, parser) for name, parser in subparsers.choices.items())


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    actions = [action for action in parser._actions if action.dest != "help"]
    usage = " ".join(["moireloop", name, *(_usage(action) for action in actions if not action.option_strings)])
    rest = " [options]" if any(action.option_strings for action in actions) else ""
    rows = [(f"`{_spelled(action)}`", _help(action)) for action in actions]
    return f"### {name}\n\n{fill(parser.description or '', 118)}\n\n    {usage}{rest}\n\n" + table(
        ("Argument", "Meaning"), rows
    )


def _metavar(action: argparse.Action) -> str:
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _usage(action: argparse.Action) -> str:
    return f"{_metavar(action)} ..." if action.nargs == "+" else _metavar(action)


def _spelled(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {_metavar(action)}"
    return ", ".join(f"{one}{value}" for one in action.option_strings) or _usage(action)


def _help(action: argparse.Action) -> str:
    text = action.help or ""
    return text[:1].upper() + text[1:] + (" (required)" if action.required and action.option_strings else "")


def http(_: str) -> str:
    """All operations of the gateway, from its OpenAPI description."""
    from moireloop_gateway.web.openapi import openapi

    rows = []
    for path, methods in openapi("")["paths"].items():
        for method, operation in methods.items():
            query = ", ".join(f"`{one['name']}`" for one in operation.get("parameters", []) if one["in"] == "query")
            rows.append((method.upper(), f"`{path}`", query, _sentence(operation)))
    return table(("Method", "Path", "Query", "What it does"), rows)


def _sentence(operation: dict[str, Any]) -> str:
    text = str(operation.get("summary") or operation.get("description", ""))
    return text[:1].upper() + text[1:]


KINDS = {"keys": keys, "commands": commands, "options": options, "http": http}


def pages() -> Iterator[Path]:
    """The reference pages."""
    yield from sorted(PAGES.glob("*.md"))


if __name__ == "__main__":
    for path in pages():
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")
