"""Which exit code an error leads to: 1 when something failed, 2 for bad input, 75 for later, 130 when killed (pure).

Errors stand here by their names, so that no command waits for the modules of another.
"""

from __future__ import annotations

from typing import Final

EXIT_FAILED: Final = 1

EXIT_BAD_INPUT: Final = 2

EXIT_GO_ON: Final = 75
"""EX_TEMPFAIL of sysexits.h: the allocation ends before the campaign; `moireloop resume` continues it in another."""

EXIT_KILLED: Final = 130

BAD_INPUT: Final = frozenset(
    {
        "moireloop.bluesky.publishing.AlreadyPublished",
        "moireloop.bluesky.publishing.WrongAddress",
        "moireloop.bluesky.tiled.WrongTiled",
        "moireloop.campaign_file.errors.CampaignFileError",
        "moireloop.client.requests.BadArgument",
        "moireloop.experiment.refused.PatternRefused",
        "moireloop.commands.planning.cells.CellsUnknown",
        "moireloop.commands.planning.cells.StrainRefused",
        "moireloop.commands.running.service.ConductorRuns",
        "moireloop.commands.started.NeverStarted",
        "moireloop.scheduling.job_script.WrongJob",
        "moireloop.scheduling.until.WrongTime",
        "moireloop.figures.files.NoSuchRun",
        "moireloop.session.lock.CampaignIsRunning",
        "moireloop.session.opening.NameTaken",
        "moireloop_broker.connection.NoConnectionFile",
        "moireloop_broker.contract.pool_names.PoolNameRefused",
        "moireloop_broker.extras.MissingExtra",
        "moireloop_broker.grants.GrantRefused",
        "moireloop_broker.membership.heartbeats.ServiceRuns",
        "moireloop_broker.membership.pools.PoolNameTaken",
        "moireloop_worker.pool.joined.JoinRefused",
        "moireloop_gateway.serve.CannotServe",
        "moireloop_gateway.sources.catalogue.NothingToShow",
    }
)

FAILURES: Final = frozenset(
    {
        "builtins.OSError",
        "moireloop.bluesky.tiled.NoTiled",
        "moireloop.client.received.NotRunning",
        "moireloop.client.received.RequestRefused",
        "moireloop.services.alone.ServiceGone",
        "moireloop.session.opening.StillEnding",
        "moireloop.session.records.StateLost",
        "moireloop.session.startup.ServiceFailed",
        "moireloop_broker.archive.parts.ArchiveLost",
        "moireloop_broker.membership.session.NoSession",
        "moireloop_broker.processes.exits.CannotServe",
        "moireloop_broker.service.server_programs.RedisUnavailable",
        "moireloop_worker.pool.joined.CampaignAway",
        "redis.exceptions.RedisError",
        "zmq.error.ZMQError",
    }
)

INTERRUPTIONS: Final = frozenset({"builtins.KeyboardInterrupt", "moireloop.session.startup.StartInterrupted"})


GO_ON: Final = frozenset({"moireloop_broker.processes.exits.GoOnLater"})

LINE_BY_LINE: Final = "moireloop.campaign_file.errors.CampaignFileError"
"""The error whose text has a line for each fault."""


CODES: Final = ((BAD_INPUT, EXIT_BAD_INPUT), (FAILURES, EXIT_FAILED), (GO_ON, EXIT_GO_ON), (INTERRUPTIONS, EXIT_KILLED))


def exit_code_of(error: BaseException) -> int | None:
    """The exit code of an error, by the nearest of its classes that has one; None for a bug in moireloop."""
    for name in _names(error):
        for names, code in CODES:
            if name in names:
                return code
    return None


def lines_of(error: BaseException) -> list[str]:
    """What an error says, each line without breaks."""
    texts = str(error).split("\n") if LINE_BY_LINE in _names(error) else [str(error) or "interrupted"]
    return [" ".join(text.split()) for text in texts]


def name_of(error: BaseException) -> str:
    """The name of the nearest of an error's classes with an exit code; else of its own class."""
    names = _names(error)
    return next((name for name in names if name in BAD_INPUT | FAILURES | GO_ON | INTERRUPTIONS), names[0])


def _names(error: BaseException) -> list[str]:
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]
