"""What the command line says of commands and errors without importing them is true of them."""

from __future__ import annotations

from importlib import import_module

import pytest

from moireloop.campaign_file.errors import CampaignFileError
from moireloop.command_line.commands import COMMANDS
from moireloop.exit_codes import BAD_INPUT, FAILURES, INTERRUPTIONS, LINE_BY_LINE, exit_code_of, lines_of
from moireloop_broker.connection import NoConnectionFile


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_where_the_table_says(name: str) -> None:
    """Each command has a function of its name in its module, which says of itself what the help says."""
    function = getattr(import_module(f"moireloop.commands.{COMMANDS[name].place}"), name.replace("-", "_"))
    assert (function.__doc__ or "").splitlines()[0] == COMMANDS[name].summary


@pytest.mark.parametrize("name", sorted(BAD_INPUT | FAILURES | INTERRUPTIONS | {LINE_BY_LINE}))
def test_errors_stand_by_their_true_names(name: str) -> None:
    """Each name is the name of an exception's class."""
    module, _, kind = name.rpartition(".")
    found = getattr(import_module(module), kind)
    assert issubclass(found, BaseException)
    assert f"{found.__module__}.{found.__qualname__}" == name


def test_an_error_is_classified_by_its_nearest_class() -> None:
    """Errors of files are failures; a missing file that has its own name is bad input; a mistake has no code."""
    assert exit_code_of(PermissionError("no")) == 1
    assert exit_code_of(NoConnectionFile("none")) == 2
    assert exit_code_of(KeyboardInterrupt()) == 130
    assert exit_code_of(ZeroDivisionError()) is None


def test_lines_of_errors() -> None:
    """Faults of a campaign file have a line each; other errors have one line, whatever breaks they hold."""
    assert lines_of(CampaignFileError("one\ntwo")) == ["one", "two"]
    assert lines_of(OSError("one\n  two")) == ["one two"]
    assert lines_of(KeyboardInterrupt()) == ["interrupted"]
