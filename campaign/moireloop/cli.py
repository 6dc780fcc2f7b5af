"""The command line: `moireloop COMMAND FILE ...` (main)."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from moireloop.command_line.commands import COMMANDS
from moireloop.command_line.parser import command_parser
from moireloop.exit_codes import EXIT_BAD_INPUT, EXIT_FAILED, exit_code_of, lines_of
from moireloop.terminal.outlet import let_go, open_closed_streams, output_that_is_named, write_any_character
from moireloop_broker.extras import extras_for, refuse_without

FIRST_PROCESS: Final = 1
"""The process id of a container's own program."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point; returns the exit code: 0, 1 something failed, 2 bad input, 75 resume later, 130 interrupted."""
    if arguments is None and os.getpid() == FIRST_PROCESS:
        from moireloop.services.first_process import as_first_process

        return as_first_process(lambda: main(sys.argv[1:]))
    open_closed_streams()
    write_any_character()
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="moireloop: %(message)s")
    parser = command_parser()
    options = vars(parser.parse_args(arguments))
    name = options.pop("command")
    if name is None:
        parser.print_help(sys.stderr)
        return EXIT_BAD_INPUT
    try:
        with output_that_is_named():
            code = _run_command(name, options.pop("file"), **options)
    except BrokenPipeError:
        let_go(sys.stdout)
        return EXIT_FAILED
    except (Exception, KeyboardInterrupt) as error:
        if (of_error := exit_code_of(error)) is None:
            raise
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("".join(f"moireloop: {line}\n" for line in lines_of(error)))
            sys.stderr.flush()
        return of_error
    return code


def _run_command(name: str, path: Path, /, **options: Any) -> int:
    """Import a command and run it; returns its exit code. Raises MissingExtra, and what the command raises."""
    command = COMMANDS[name]
    if command.at_once:
        refuse_without(f"moireloop {name}", command.extras)
    with extras_for(f"moireloop {name}", command.extras):
        module = import_module(f"moireloop.commands.{command.place}")
        function: Callable[..., int] = getattr(module, name.replace("-", "_"))
        return function(path, **options)
