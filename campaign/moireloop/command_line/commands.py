"""Every command: where its function is, a one-line summary, and the extras that it needs (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from moireloop_broker.extras import SESSION


@dataclass(frozen=True)
class Command:
    """One command: where its function is, a one-line summary, and the extras that it needs.

    `at_once`: check for the extras before anything starts, so that no campaign fails later for a missing one.
    """

    place: str
    summary: str
    extras: tuple[str, ...] = ()
    at_once: bool = False


TABLES: Final = ("figures",)

COMMANDS: Final = {
    "run": Command("running.session", "Start a campaign and stay until it ends.", SESSION, at_once=True),
    "resume": Command(
        "running.session",
        "Continue a campaign that was stopped, killed or paused; its file may have changed.",
        SESSION,
        at_once=True,
    ),
    "join": Command(
        "running.join",
        "Add workers on this machine or in this allocation to a running campaign until it ends.",
        ("broker", "worker"),
        at_once=True,
    ),
    "service": Command(
        "running.service",
        "Run a single service: wait for the campaign and serve it until it ends.",
    ),
    "status": Command("looking.status", "Print the state of a campaign, running or not.", ("broker",)),
    "watch": Command("looking.watch", "Follow a campaign that runs in another terminal until it ends."),
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
        "Measure the twist in a diffraction pattern; find the most similar results and what to change.",
        (*SESSION,),
    ),
    "advise": Command(
        "looking.advise",
        "Advise where to grow next and where to simulate next to hit a target, from results and patterns.",
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
        "Write a campaign, running or finished, as event-model documents to bluesky's 0MQ proxy or into Tiled.",
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
        "Add a measured diffraction pattern and its twist to the log of a running campaign.",
        (*SESSION,),
    ),
    "change-space": Command("steering.requests", "Change the bounds of the search."),
    "change-budget": Command("steering.requests", "Change the budget: results or wall time."),
    "scale": Command("steering.scale", "Change the number of workers in a pool."),
    "note": Command("steering.requests", "Write a remark into the log."),
    "grant": Command("steering.grants", "Write a connection file with separate keys for another machine."),
    "revoke": Command("steering.grants", "Revoke a grant: its key stops working."),
    "describe": Command("steering.requests", "Print a running campaign's targets, search space and budget as JSON."),
}
