"""Campaign files whose strategy is wrong, each in one way, and a piece of what must be said about it."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.wrong_campaign_files import WrongFile

OWN = 'strategy = "qei"'
NO_MORE = (
    "class Mine:\n    def __init__(self, vocs): pass\n    def suggest(self, n): pass\n    def ingest(self, r): pass\n"
)


def _named(name: str, expected: str, strategy: str) -> WrongFile:
    return WrongFile(name, f"optimizer.strategy: {expected}", OWN, f'strategy = "{strategy}"', purpose="fresh")


def _with(name: str, expected: str, more: str) -> WrongFile:
    return WrongFile(name, f"optimizer.{expected}", OWN, f"{OWN}\n{more}", purpose="fresh")


def _in_file(name: str, expected: str, text: str, more: str = "") -> WrongFile:
    """The campaign file names the class Mine of own.py, which has this text."""

    def act(path: Path) -> None:
        path.with_name("own.py").write_text(text)

    return WrongFile(name, f"optimizer.{expected}", OWN, f'strategy = "own.py:Mine"\n{more}', act=act, purpose="fresh")


WRONG_STRATEGIES = [
    _named("with a space", "expected one of auto, qei, thompson, random, none, a name that a package", "my strategy"),
    _named("empty", "expected one of auto, qei, ", ""),
    _named("class of no name", "expected one of auto, qei, ", "own.py:"),
    _named("path instead of a class", "expected one of auto, qei, ", "own.py:../Mine"),
    _named("name that says something else", "expected a class with a name other than ", "own.py:sobol"),
    _named("file that is not there", "expected a Python file, got {parent}/own.py, which is missing", "own.py:Mine"),
    _named("module that is not there", "expected a module that is installed, got no_such.module", "no_such.module:A"),
    _named("class that a module has not", "expected a class Fractio in fractions, got none; did", "fractions:Fractio"),
    _in_file("file with an error", "strategy: {parent}/own.py:Mine cannot be loaded: SyntaxError: ", "class Mine()\n"),
    _in_file("file that exits", "strategy: {parent}/own.py:Mine cannot be loaded: SystemExit", "raise SystemExit(3)"),
    _in_file("file that dies", "strategy: expected a generator that can be constructed, got none: its trial kill",
             "import os\nos.kill(os.getpid(), 9)"),
    _in_file("class that is not there", "strategy: expected a class Mine in {parent}/own.py, got none; did you mean",
             "class Mines: ..."),
    _in_file("class that is a number", "strategy: expected a class at {parent}/own.py:Mine, got int", "Mine = 3"),
    _in_file("class that is no generator", "strategy: {parent}/own.py:Mine cannot be constructed: expected a genera",
             "class Mine:\n    def __init__(self, vocs): pass"),
    _in_file("class that refuses the search space", "strategy: {parent}/own.py:Mine cannot be constructed: ValueErr",
             "class Mine:\n    def __init__(self, vocs): raise ValueError('too wide')"),
    _in_file("option that the class does not take", "options: {parent}/own.py:Mine cannot be constructed: TypeError: ",
             NO_MORE, "options = {width = 1}"),
    _with("options for one of ours", "options: expected none, since strategy 'qei' takes none, got width",
          "options = {width = 1}"),
    _with("options that are no table", "options: expected a table", "options = 3"),
    _with("huge integer in an option", "options.seeds: expected integers of at most 64 bits",
          f"options = {{seeds = [{2**64}]}}"),
    _with("no time", "suggest_s: expected more than 0", "suggest_s = 0.0"),
]  # fmt: skip
