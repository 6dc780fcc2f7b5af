"""The parser of the command line, and the options that several commands share (pure)."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from pathlib import Path
from typing import Final

from moireloop.command_line.arguments import ARGUMENTS
from moireloop.command_line.commands import COMMANDS

EXIT_CODES: Final = (
    "Exit codes: 0 the campaign has ended, 1 something failed, 2 bad input, 75 the allocation ends "
    "and everything was given back (`moireloop resume` in another allocation continues), 130 interrupted."
)

SERVICES: Final = ("broker", "analyzer", "optimizer", "workers", "conductor")


def command_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="moireloop", description="Find the growth conditions that give a bilayer with a wanted twist."
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="show program's version number and exit"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.summary, description=command.summary)
        if name == "dashboard":
            _add_dashboard(sub)
        else:
            if name == "service":
                sub.add_argument("kind", choices=SERVICES, help="which service; conductor only with --check")
            sub.add_argument("file", type=Path, metavar="FILE", help="campaign file (TOML)")
        for argument in ARGUMENTS.get(name, ()):
            sub.add_argument(*argument.names, **argument.options)
    for name in ("run", "resume"):
        _add_services_options(commands.choices[name])
    _add_join_options(commands.choices["join"])
    _add_service_options(commands.choices["service"])
    for name in ("run", "resume", "join"):
        commands.choices[name].epilog = EXIT_CODES
    return parser


def _add_join_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Add workers on this machine or in this allocation to a running campaign until it ends. FILE is the campaign "
        "file, the campaign's folder, or its connection file."
    )
    parser.add_argument("--name", help="name of the pool; by default the host and the scheduler's job")
    _add_worker_options(parser)


def _add_services_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--services",
        choices=("here", "elsewhere"),
        default="here",
        help="start all services here, or wait for services started by `moireloop service`",
    )
    _add_patience(parser, "seconds to wait for the broker with --services elsewhere")


def _add_service_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a single service, for example in a container: wait for the campaign and serve it until "
        "it ends. FILE is the campaign file, the campaign's folder, or its connection file."
    )
    parser.add_argument(
        "--name", help="name of this instance; by default the kind and, for workers and analyzers, the host"
    )
    parser.add_argument("--check", action="store_true", help="start nothing; exit 0 when this instance works, else 1")
    _add_worker_options(parser)
    _add_patience(parser, "seconds to wait for the campaign to begin, or while it is silent")


def _add_patience(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--patience", type=_seconds, default=600.0, metavar="S", help=f"{text} (600)")


def _add_worker_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=_workers, metavar="N|all", help="number of workers; by default from the campaign file"
    )
    parser.add_argument("--launcher", help="launcher of the workers; by default from the campaign file")
    parser.add_argument(
        "--linger", type=_seconds, default=0.0, metavar="S", help="seconds to wait for the next session after the end"
    )


def _workers(text: str) -> int:
    """A number of workers, 0 for all that fit."""
    if text == "all":
        return 0
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 4096):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 4096, or all, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected seconds, such as 600, got {text!r}")


def _add_dashboard(sub: argparse.ArgumentParser) -> None:
    """What `moireloop dashboard` takes."""
    sub.add_argument(
        "file", type=Path, nargs="+", metavar="FILE|FOLDER",
        help="campaign file, campaign's folder, folder with many campaigns, or grant (the connection file of a "
        "campaign on another machine)",
    )  # fmt: skip
    sub.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; by default only this machine can connect"
    )
    sub.add_argument("--port", type=int, help="port to listen on; by default 8765, or a free one if that is taken")
    sub.add_argument(
        "--name",
        dest="names",
        action="append",
        default=[],
        help="name by which browsers call this machine; may be repeated",
    )
    sub.add_argument("--certificate", type=Path, metavar="PEM", help="certificate, for TLS")
    sub.add_argument("--key", type=Path, metavar="PEM", help="key of the certificate")
    sub.add_argument("--plaintext", action="store_true", help="serve other machines without TLS")
    sub.add_argument("--tokens", type=Path, metavar="FILE", help="keep the tokens in a file, so that links stay valid")
    sub.add_argument(
        "--origin", dest="origins", action="append", default=[], metavar="ORIGIN",
        help="let pages of this origin read with a token (CORS); may be repeated",
    )  # fmt: skip
    sub.add_argument(
        "--patience", type=_seconds, default=0.0, metavar="S", help="seconds to wait for a campaign to start (0)"
    )
    sub.add_argument("--browser", action="store_true", help="open the link in a browser")


class _Version(argparse.Action):
    """Looks up the version only when needed, since that reads the package's metadata."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"moireloop {version('moireloop')}\n")
        parser.exit()
