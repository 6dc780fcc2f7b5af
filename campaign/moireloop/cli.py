"""The command line: `moireloop COMMAND FILE ...` (main)."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from moireloop.exit_codes import EXIT_BAD_INPUT, EXIT_FAILED, exit_code_of, lines_of
from moireloop.terminal.outlet import let_go, open_closed_streams, output_that_is_named, write_any_character
from moireloop_broker.extras import SESSION, extras_for, refuse_without


@dataclass(frozen=True)
class Command:
    """One command: where its function is, what it does in a line, and the extras that it needs.

    `at_once` is whether these are looked for before anything is begun: a campaign should not end for want of one.
    """

    place: str
    summary: str
    extras: tuple[str, ...] = ()
    at_once: bool = False


class Argument:
    """One argument of a command, as argparse has them."""

    def __init__(self, *names: str, **options: Any) -> None:
        self.names, self.options = names, options


LATER: Final = (
    "Exit codes: 0 the campaign has ended, 1 something failed, 2 bad input, 75 the allocation ends or is wanted back "
    "and everything was given back (`moireloop resume` in another allocation continues), 130 interrupted."
)


TABLES: Final = ("figures",)

FIRST_PROCESS: Final = 1
"""The process id of a container's own program."""

SERVICES: Final = ("broker", "analyzer", "optimizer", "workers", "conductor")

COMMANDS: Final = {
    "run": Command("running.session", "Start a campaign and stay until it ends.", SESSION, at_once=True),
    "resume": Command(
        "running.session",
        "Continue a campaign that was stopped, killed or paused, also with a changed file.",
        SESSION,
        at_once=True,
    ),
    "join": Command(
        "running.join",
        "Add workers on this machine or allocation to a running campaign, until it ends.",
        ("broker", "worker"),
        at_once=True,
    ),
    "service": Command(
        "running.service",
        "Run one service of a campaign by itself: wait for the campaign and serve it until it ends.",
    ),
    "status": Command("looking.status", "Print the state of a campaign, running or not.", ("broker",)),
    "watch": Command("looking.watch", "Follow a campaign that another terminal runs, until it ends."),
    "stop": Command(
        "steering.stop", "Let running candidates finish, then stop; `moireloop resume` continues from there."
    ),
    "results": Command(
        "looking.results",
        "Print the best recipes; write results and trajectories as .parquet and .csv, and analyses.parquet.",
        TABLES,
    ),
    "compare": Command(
        "looking.compare",
        "Measure the twist in a diffraction pattern, and find the results most like it and what to change.",
        (*SESSION,),
    ),
    "pattern": Command(
        "looking.pattern",
        "Simulate the diffraction pattern of a run's final structure: X-rays in the plane, or RHEED.",
        (*SESSION,),
    ),
    "figures": Command("looking.figures", "Draw the figures into the campaign's folder.", ("figures", "analyzer")),
    "dashboard": Command(
        "looking.dashboard",
        "Show campaigns in a browser, running or finished; JSON, server-sent events and metrics too.",
        ("gateway",),
        at_once=True,
    ),
    "bluesky": Command(
        "looking.bluesky",
        "Make event-model documents of a campaign, running or finished: for bluesky's 0MQ proxy, or into Tiled.",
        ("bluesky",),
        at_once=True,
    ),
    "cells": Command(
        "planning.cells",
        "List the coherent twists that the campaign's cell admits, and the cells that admit its targets.",
        SESSION,
    ),
    "job": Command("planning.job", "Print a job script that runs a campaign in one allocation after another.", SESSION),
    "validate": Command("planning.validate", "Check a campaign file; start nothing.", SESSION),
    "pause": Command("steering.requests", "Lease no more candidates until `moireloop resume`; running ones continue."),
    "propose": Command("steering.requests", "Queue a candidate that you choose."),
    "replicate": Command("steering.requests", "Queue more runs of a candidate's parameters, with other seeds."),
    "prioritise": Command("steering.requests", "Move a queued candidate to a place in the queue."),
    "withdraw": Command("steering.requests", "Take a candidate out of the queue; a running one is left alone."),
    "cancel": Command("steering.requests", "End a candidate early, queued or running."),
    "retarget": Command(
        "steering.requests",
        "Search for other twists, or for the twist of a measured pattern; they replace all targets so far.",
    ),
    "submit-pattern": Command(
        "steering.patterns",
        "Put a measured diffraction pattern into the log of a running campaign, with its twist.",
        (*SESSION,),
    ),
    "change-space": Command("steering.requests", "Change the bounds of the search."),
    "change-budget": Command("steering.requests", "Change the budget of results, or of wall time."),
    "scale": Command("steering.scale", "Change the number of workers in a pool."),
    "note": Command("steering.requests", "Write a remark into the log."),
    "grant": Command("steering.grants", "Write a connection file with separate keys for another machine."),
    "revoke": Command("steering.grants", "Revoke a grant: its key stops working."),
    "describe": Command("steering.requests", "Print what a running campaign searches, as JSON."),
}

CANDIDATE: Final = Argument("candidate_id", metavar="ID", help="id of the candidate")

REASON: Final = "the reason, for the log"

UNTIL: Final = Argument(
    "--until", metavar="TIME", help="when the machine is needed back: 2026-11-30T08:00, or the time left as HH:MM:SS"
)

PATTERN: Final = (
    Argument("pattern", type=Path, metavar="PATTERN", help="peaks or scans (.csv, .parquet), or an image"),
    Argument("--lattices", metavar="A,B", help="lattice constants of the two layers in angstrom, before strain"),
    Argument("--max-strain", type=float, default=0.04, metavar="S", help="largest strain of a layer (0.04)"),
    Argument("--calibration", type=float, metavar="Q", help="of an image: inverse angstrom per pixel"),
    Argument("--centre", metavar="X,Y", help="of an image: pixel of the direct beam, from the upper left"),
    Argument("--centre-error", type=float, metavar="E", help="of the centre, in pixels (0.5) or inverse angstrom"),
    Argument("--distortion", metavar="E,DEG,K", help="of an image: ellipticity, its angle, barrel (1/pixel^2)"),
    Argument("--instrument", type=float, default=0.0, metavar="W", help="full width along q in inverse angstrom"),
    Argument(
        "--scale-within", type=float, metavar="F", help="fit the scale of q: it may be wrong by a factor of 1 + F"
    ),
)
"""A measured pattern, and what is known of it."""

NO_FIGURES: Final = Argument(
    "--no-figures", action="store_true", help="write only tables at the end; `moireloop figures` draws at any time"
)

ARGUMENTS: Final = {
    "run": (
        Argument("--fresh", action="store_true", help="first remove what an earlier campaign of this file left"),
        Argument("--or-resume", action="store_true", help="continue the campaign if it was started before"),
        UNTIL,
        NO_FIGURES,
    ),
    "resume": (UNTIL, NO_FIGURES),
    "join": (UNTIL,),
    "job": (
        Argument("--scheduler", required=True, choices=["slurm", "flux"], help="scheduler of the script"),
        Argument(
            "--time", default="01:00:00", metavar="TIME", help="time limit of one job, as [[D-]HH:]MM:SS (01:00:00)"
        ),
        Argument("--nodes", type=int, metavar="N", help="nodes of one job; by default what the workers need"),
        Argument("--account", help="account that is charged (Flux: the bank)"),
        Argument("--queue", "--partition", help="queue of the jobs"),
        Argument("--chain", type=int, default=0, metavar="N", help="at most N jobs in a row; 0: as many as it takes"),
        Argument("--resubmit", action="store_true", help="Slurm: submit the script anew instead of requeueing the job"),
    ),
    "figures": (
        Argument(
            "--run",
            action="append",
            default=[],
            metavar="ID",
            help="also draw this run; may be repeated",
        ),
    ),
    "compare": (
        *PATTERN,
        Argument("--closest", type=int, default=5, metavar="N", help="number of similar results (5)"),
        Argument("-o", dest="output", type=Path, metavar="FILE2", help="write a picture (.png, .svg)"),
    ),
    "pattern": (
        Argument("candidate_id", metavar="ID", help="id of the candidate, as in results.csv"),
        Argument("--kind", choices=["gixd", "rheed"], required=True, help="X-rays in the plane, or electrons"),
        Argument(
            "-o", dest="output", type=Path, metavar="FILE2", help="write the peaks (.csv), as `compare` reads them"
        ),
        Argument("--picture", type=Path, metavar="FILE3", help="write a picture (.png, .svg)"),
        Argument(
            "--set",
            dest="changes",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a setting of [diffraction], such as temperature_k=300 or rheed.azimuth_deg=30; again for more",
        ),
        Argument("--counts", type=float, metavar="N", help="add noise: counts in the brightest peak"),
        Argument("--background", type=float, default=0.0, metavar="B", help="counts under each peak (0)"),
        Argument("--seed", type=int, default=0, help="seed of the noise"),
    ),
    "bluesky": (
        Argument("--publish", metavar="ADDRESS", help="of a bluesky-0MQ-proxy, such as tcp://127.0.0.1:5567"),
        Argument("--tiled", metavar="URL", help="of a Tiled server; its key comes from TILED_API_KEY"),
        Argument(
            "--serializer",
            choices=("msgpack", "json", "pickle"),
            default="msgpack",
            help="how documents are published (msgpack)",
        ),
        Argument("--prefix", default="", help="before each published message, for dispatchers that choose by it"),
        Argument("--secret-key", type=Path, metavar="FILE", help="CURVE secret key of this publisher"),
        Argument("--server-key", type=Path, metavar="FILE", help="CURVE public key of the proxy"),
        Argument("--plaintext", action="store_true", help="publish to another machine without keys"),
        Argument("--again", action="store_true", help="publish all documents, also those that went out before"),
    ),
    "cells": (
        Argument(
            "--strain",
            type=float,
            metavar="S",
            help="largest principal strain of a layer, as a fraction (default: 0.035)",
        ),
    ),
    "pause": (Argument("--reason", default="moireloop pause", help=REASON),),
    "propose": (
        Argument("candidate_id", metavar="ID", help="a new name, unique in the campaign"),
        Argument("parameters", nargs="+", metavar="NAME=VALUE", help="a value of each growth parameter"),
        Argument("--seed", type=int, default=0, help="seed of every random number of the run"),
    ),
    "replicate": (CANDIDATE, Argument("--runs", type=int, default=1, help="how many more runs")),
    "prioritise": (CANDIDATE, Argument("--place", type=int, default=1, help="1 is the next one that a worker takes")),
    "withdraw": (CANDIDATE, Argument("--reason", default="moireloop withdraw", help=REASON)),
    "cancel": (CANDIDATE, Argument("--reason", default="moireloop cancel", help=REASON)),
    "retarget": (
        Argument("target", nargs="*", metavar="TWIST[:TOLERANCE]", help="in degrees, such as 8.2:0.3; all targets"),
        Argument("--pattern", metavar="ID[:TOLERANCE]", help="the twist of a measured pattern, or of the `newest`"),
    ),
    "submit-pattern": (
        *PATTERN,
        Argument("--name", metavar="ID", help="its name; by default derived from the measurement"),
        Argument(
            "--parameter",
            dest="parameters",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="of the growth chamber; may be repeated",
        ),
        Argument("--measured-s", type=float, metavar="T", help="when it was measured, in seconds since the epoch"),
    ),
    "change-space": (
        Argument("bounds", nargs="+", metavar="NAME=LOW:HIGH", help="new bounds; other parameters keep theirs"),
    ),
    "change-budget": (
        Argument("--results", type=int, help="total number of results"),
        Argument("--wall-time-s", type=float, help="wall time of the session in seconds"),
    ),
    "scale": (
        Argument("workers", type=int, metavar="N", help="number of workers in the pool, 0 to 4096"),
        Argument("--pool", default="main", help="name of the pool; by default the session's own"),
    ),
    "grant": (
        Argument("--role", choices=("observer", "controller"), required=True, help="may follow, or steer too"),
        Argument("--host", required=True, metavar="NAME", help="name or address of this machine, as seen from there"),
        Argument("--name", help="name of the holder, for the log; by default the name of the file"),
        Argument("-o", dest="output", type=Path, required=True, metavar="FILE2", help="the file to write"),
    ),
    "revoke": (Argument("name", metavar="NAME", help="name of the grant"),),
    "note": (
        Argument("text", metavar="TEXT", help="the remark"),
        Argument("--about", metavar="ID", help="the candidate that it is about"),
    ),
}
"""What each command takes beside the file."""


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
            code = _carried_out(name, options.pop("file"), **options)
    except BrokenPipeError:
        let_go(sys.stdout)
        return EXIT_FAILED
    except (Exception, KeyboardInterrupt) as error:
        if (of_error := exit_code_of(error)) is None:
            raise
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("".join(f"moireloop: {told}\n" for told in lines_of(error)))
            sys.stderr.flush()
        return of_error
    return code


def _carried_out(name: str, path: Path, /, **options: Any) -> int:
    """Import a command and carry it out. Raises MissingExtra, and what it raises."""
    command = COMMANDS[name]
    if command.at_once:
        refuse_without(f"moireloop {name}", command.extras)
    with extras_for(f"moireloop {name}", command.extras):
        module = import_module(f"moireloop.commands.{command.place}")
        function: Callable[..., int] = getattr(module, name.replace("-", "_"))
        return function(path, **options)


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
                sub.add_argument("kind", choices=SERVICES, help="which service; of the conductor only --check")
            sub.add_argument("file", type=Path, metavar="FILE", help="campaign file (TOML)")
        for argument in ARGUMENTS.get(name, ()):
            sub.add_argument(*argument.names, **argument.options)
    for name in ("run", "resume"):
        _add_services_options(commands.choices[name])
    _add_join_options(commands.choices["join"])
    _add_service_options(commands.choices["service"])
    for name in ("run", "resume", "join"):
        commands.choices[name].epilog = LATER
    return parser


def _add_join_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Add workers on this machine or allocation to a running campaign, until it ends. FILE is the campaign file, "
        "the campaign's folder, or its connection file."
    )
    parser.add_argument("--name", help="name of the pool; by default the host and the scheduler's job")
    _add_worker_options(parser)


def _add_services_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--services",
        choices=("here", "elsewhere"),
        default="here",
        help="start all services here, or wait for those that start by themselves (moireloop service)",
    )
    _add_patience(parser, "seconds to wait for the broker, where services start by themselves")


def _add_service_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run one service of a campaign by itself, such as in a container: wait for the campaign and serve it until "
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
        help="campaign file, campaign's folder, folder of many, or a grant: a connection file leads to a campaign "
        "whose folder is on another machine",
    )  # fmt: skip
    sub.add_argument("--host", default="127.0.0.1", help="address to listen on; by default only this machine is served")
    sub.add_argument("--port", type=int, help="port to listen on; by default 8765, or a free one where that is taken")
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
        help="pages of this origin may read with a token (CORS); may be repeated",
    )  # fmt: skip
    sub.add_argument(
        "--patience", type=_seconds, default=0.0, metavar="S", help="seconds to wait for a campaign to start (0)"
    )
    sub.add_argument("--browser", action="store_true", help="open the link in a browser")


class _Version(argparse.Action):
    """Looks the version up when it is asked for: that reads the metadata of the package."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"moireloop {version('moireloop')}\n")
        parser.exit()
