"""The methods that call Lua scripts give each as many keys and arguments as its text names and uses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from moireloop_broker import state
from moireloop_broker.state import scripts
from moireloop_broker.state.scripts.runner import UnknownReply, expected_word

MODULES = sorted(Path(scripts.__file__).parent.glob("*.py"))
LUA = Path(state.__file__).parent / "lua"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in LUA.glob("*.lua")}


def calls() -> dict[str, tuple[int, int]]:
    """How many keys and arguments each script is called with."""
    found = {}
    for node in (node for path in MODULES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Call) and _callee(node) in ("run", "is_one", "Call") and len(node.args) == 3:
            name, keys, args = node.args
            if isinstance(name, ast.Constant) and isinstance(keys, ast.List) and isinstance(args, ast.List):
                found[str(name.value)] = (len(keys.elts), len(args.elts))
    return found


def _callee(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def named(text: str) -> tuple[int, int]:
    """How many keys and arguments the head of a script names."""
    head = " ".join(line.removeprefix("--") for line in text.splitlines() if line.startswith("--"))
    found = re.search(r"KEYS ([a-z_ ]+?) *ARGV ([a-z_ ]+)$", head)
    assert found is not None
    return len(found.group(1).split()), len(found.group(2).split())


def used(text: str) -> tuple[int, int]:
    """How many keys and arguments a script uses."""
    return tuple(max(int(number) for number in re.findall(rf"{kind}\[(\d+)\]", text)) for kind in ("KEYS", "ARGV"))  # type: ignore[return-value]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_keys_and_arguments_are_those_of_the_script(name: str) -> None:
    """Called, named and used: the same number of each."""
    assert calls()[name] == named(TEXTS[name]) == used(TEXTS[name])


def test_unknown_word_is_reported() -> None:
    """A word of another version is an error that names it, not a state that nobody knows."""
    with pytest.raises(UnknownReply, match="expected one of leased, stale, draining from a script, got lent"):
        expected_word(b"lent", ("leased", "stale", "draining"))
