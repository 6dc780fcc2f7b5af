"""The arguments of each command besides the campaign file (pure)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final


class Argument:
    """One argument of a command: what `argparse.ArgumentParser.add_argument` takes."""

    def __init__(self, *names: str, **options: Any) -> None:
        self.names, self.options = names, options


CANDIDATE: Final = Argument("candidate_id", metavar="ID", help="id of the candidate")

REASON: Final = "the reason, for the log"

UNTIL: Final = Argument(
    "--until", metavar="TIME", help="when everything must be given back: 2026-11-30T08:00, or the time left as HH:MM:SS"
)

PATTERN: Final = (
    Argument("pattern", type=Path, metavar="PATTERN", help="peaks or scans (.csv, .parquet), or an image"),
    Argument("--lattices", metavar="A,B", help="lattice constants of the two layers in angstrom, before strain"),
    Argument("--max-strain", type=float, default=0.04, metavar="S", help="largest strain of a layer (0.04)"),
    Argument("--calibration", type=float, metavar="Q", help="images: inverse angstrom per pixel"),
    Argument("--centre", metavar="X,Y", help="images: pixel of the direct beam, from the upper left"),
    Argument(
        "--centre-error", type=float, metavar="E", help="error of the centre, in pixels (0.5) or inverse angstrom"
    ),
    Argument("--distortion", metavar="E,DEG,K", help="images: ellipticity, its angle, barrel distortion (1/pixel^2)"),
    Argument(
        "--instrument",
        type=float,
        default=0.0,
        metavar="W",
        help="instrument's full width along q, in inverse angstrom",
    ),
    Argument(
        "--scale-within", type=float, metavar="F", help="fit the scale of q: it may be wrong by a factor of 1 + F"
    ),
)
"""A measured pattern and what is known about it."""

NO_FIGURES: Final = Argument(
    "--no-figures", action="store_true", help="write only tables at the end; `moireloop figures` draws at any time"
)

ARGUMENTS: Final = {
    "run": (
        Argument("--fresh", action="store_true", help="first remove what an earlier campaign of this file left behind"),
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
        Argument("--account", help="account to charge (Flux: the bank)"),
        Argument("--queue", "--partition", help="queue of the jobs"),
        Argument("--chain", type=int, default=0, metavar="N", help="at most N jobs in a row; 0: as many as it takes"),
        Argument(
            "--resubmit", action="store_true", help="Slurm: submit the script again instead of requeueing the job"
        ),
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
        Argument(
            "--simulate",
            choices=["gixd", "rheed"],
            help="also compare intensities with simulated patterns of the similar results",
        ),
        Argument("-o", dest="output", type=Path, metavar="PICTURE", help="picture to write (.png, .svg)"),
    ),
    "advise": (
        Argument("--target", metavar="TWIST[:TOLERANCE]", help="target in degrees; by default the campaign's first"),
    ),
    "pattern": (
        Argument("candidate_id", metavar="ID", help="id of the candidate, as in results.csv"),
        Argument("--kind", choices=["gixd", "rheed"], required=True, help="X-rays in the plane, or electrons"),
        Argument(
            "-o",
            dest="output",
            type=Path,
            metavar="TABLE",
            help="table of peaks to write (.csv), as `compare` reads it",
        ),
        Argument("--picture", type=Path, metavar="PICTURE", help="picture to write (.png, .svg)"),
        Argument(
            "--set",
            dest="changes",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a setting of [diffraction], such as temperature_k=300 or rheed.azimuth_deg=30; may be repeated",
        ),
        Argument("--counts", type=float, metavar="N", help="add noise: counts in the brightest peak"),
        Argument("--background", type=float, default=0.0, metavar="B", help="counts under each peak (0)"),
        Argument("--seed", type=int, default=0, help="seed of the noise"),
    ),
    "bluesky": (
        Argument("--publish", metavar="ADDRESS", help="address of a bluesky-0MQ-proxy, such as tcp://127.0.0.1:5567"),
        Argument("--tiled", metavar="URL", help="Tiled server; TILED_API_KEY has its key"),
        Argument(
            "--serializer",
            choices=("msgpack", "json", "pickle"),
            default="msgpack",
            help="how documents are serialized (msgpack)",
        ),
        Argument("--prefix", default="", help="put before each published message, for dispatchers that filter by it"),
        Argument("--secret-key", type=Path, metavar="FILE", help="CURVE secret key of this publisher"),
        Argument("--server-key", type=Path, metavar="FILE", help="CURVE public key of the proxy"),
        Argument("--plaintext", action="store_true", help="publish to another machine unencrypted"),
        Argument("--again", action="store_true", help="publish all documents, even those published before"),
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
    "prioritise": (CANDIDATE, Argument("--place", type=int, default=1, help="1 is next")),
    "withdraw": (CANDIDATE, Argument("--reason", default="moireloop withdraw", help=REASON)),
    "cancel": (CANDIDATE, Argument("--reason", default="moireloop cancel", help=REASON)),
    "retarget": (
        Argument("target", nargs="*", metavar="TWIST[:TOLERANCE]", help="all targets in degrees, such as 8.2:0.3"),
        Argument("--pattern", metavar="ID[:TOLERANCE]", help="the twist of a measured pattern, or of the `newest`"),
    ),
    "submit-pattern": (
        *PATTERN,
        Argument("--name", metavar="ID", help="name of the pattern; by default derived from the measurement"),
        Argument(
            "--parameter",
            dest="parameters",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="parameter of the growth chamber; may be repeated",
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
        Argument(
            "--role",
            choices=("observer", "controller"),
            required=True,
            help="an observer follows; a controller can also steer",
        ),
        Argument(
            "--host", required=True, metavar="NAME", help="name or address of this machine, as seen from the other one"
        ),
        Argument("--name", help="name of the holder, for the log; by default the name of the file"),
        Argument("-o", dest="output", type=Path, required=True, metavar="GRANT", help="the connection file to write"),
    ),
    "revoke": (Argument("name", metavar="NAME", help="name of the grant"),),
    "note": (
        Argument("text", metavar="TEXT", help="the remark"),
        Argument("--about", metavar="ID", help="the candidate that the remark is about"),
    ),
}
"""The arguments of each command besides the campaign file."""
