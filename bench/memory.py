"""Memory of each service while very many results come, with a gateway that follows, and what Redis holds.

`python -m bench.memory docs/images/memory.png` draws it. With an archive of 0 events nothing is archived.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import psutil
import redis
from rich.console import Console

from bench.campaigns import wait_until
from bench.table import Row, show
from moireloop_broker.connection import NoConnectionFile, read_connection
from moireloop_broker.contract.events import OUTCOMES
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.keys import Keys
from tests.helpers.campaign_files import campaign_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import ColorType

EVERY_S: Final = 1.0

NAMES: Final = {
    "moireloop_broker.archiving": "archiver",
    "moireloop_broker ": "broker",
    "redis-server": "Redis",
    "valkey-server": "Redis",
    "moireloop_optimizer.service.fit_process": "fit process",
    "moireloop_optimizer": "optimizer",
    "moireloop_analyzer": "analyzer",
    "moireloop_worker.pool": "pool",
    "moireloop_worker": "worker",
    "moireloop dashboard": "gateway",
    "moireloop run": "conductor",
}
"""What stands in a command line, and what the process is; the first that fits."""

MIB: Final = 1024 * 1024

LABEL_SIZE: Final = 9

LABEL_APART: Final = 1.3 * LABEL_SIZE

LABEL_AWAY: Final = 16.0
"""Names of lines, in points: their size, how far apart, and how far from where the lines end."""


@dataclass(frozen=True)
class Sample:
    """At each number of results: resident memory of each kind of process, what Redis uses, and how long its log is."""

    results: int
    at_s: float
    rss_mib: dict[str, float]
    redis_mib: float
    log_events: int
    append_only_mib: float


def rows(
    results: int = 100_000,
    kept_events: int = 100_000,
    workers: int = 2,
    patience_s: float = 3000.0,
    picture: Path | None = None,
) -> list[Row]:
    """Growth of each service over the second half of the results, for each 10 000 of them; and what Redis holds."""
    with tempfile.TemporaryDirectory(prefix="moireloop-bench-") as root:
        samples = list(_watched(Path(root), results, kept_events, workers, patience_s))
    if picture is not None:
        drawn(samples).savefig(picture, dpi=120)
    return growth(samples, kept_events)


def _watched(root: Path, results: int, kept_events: int, workers: int, patience_s: float) -> Iterator[Sample]:
    file = root / "long.toml"
    sections: dict[str, Mapping[str, Any]] = {
        "growth": {"model": "noop"},
        "workers": {"count": workers, "oversubscribe": True},
        "optimizer": {"strategy": "random", "replicates": 0},
        "archive": {"kept_events": kept_events},
    }
    file.write_text(campaign_text("long", sections, results=results), encoding="utf-8")
    folder = CampaignFolder(root / "long.campaign")
    with _running(file) as process, _client(folder) as (client, keys):
        began_s = time.monotonic()
        while process.poll() is None and time.monotonic() - began_s < patience_s:
            with contextlib.suppress(redis.RedisError):
                yield _sample(process.pid, client, keys, folder, time.monotonic() - began_s)
            time.sleep(EVERY_S)


@contextmanager
def _running(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The campaign of a file with a gateway beside it, both processes of this one."""
    command = [sys.executable, "-m", "moireloop"]
    quiet = subprocess.DEVNULL
    run = subprocess.Popen([*command, "run", str(file), "--no-figures"], stdout=quiet, stderr=quiet)
    gateway = [*command, "dashboard", str(file), "--patience", "60", "--port", "0"]
    with subprocess.Popen(gateway, stdout=quiet, stderr=quiet) as beside:
        try:
            yield run
        finally:
            beside.terminate()
            run.terminate()
            run.wait()


@contextmanager
def _client(folder: CampaignFolder) -> Iterator[tuple[redis.Redis, Keys]]:
    def connected() -> bool:
        with contextlib.suppress(NoConnectionFile, redis.RedisError):
            connection = read_connection(folder.connection_file)
            client = connection.open_redis()
            found.append((client, connection.keys))
            return bool(client.exists(connection.keys.state))
        return False

    found: list[tuple[redis.Redis, Keys]] = []
    wait_until(connected, "the campaign has begun", every_s=0.5)
    yield found[-1]
    for client, _ in found:
        client.close()


def _sample(pid: int, client: redis.Redis, keys: Keys, folder: CampaignFolder, at_s: float) -> Sample:
    counts = cast("dict[bytes, bytes]", client.hgetall(keys.counts))
    memory = client.info("memory")
    written = sum(path.stat().st_size for path in folder.redis.rglob("*.aof"))
    return Sample(
        results=sum(int(counts.get(outcome.encode(), 0)) for outcome in OUTCOMES),
        at_s=at_s,
        rss_mib=_resident(),
        redis_mib=memory["used_memory"] / MIB,
        log_events=client.xlen(keys.log),
        append_only_mib=written / MIB,
    )


def _resident() -> dict[str, float]:
    """Of all processes below this one, by their kind, in MiB."""
    found: dict[str, float] = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline()[1:]) + " " + process.name()
            kind = next((kind for part, kind in NAMES.items() if part in line), None)
            if kind is not None and "guard.py" not in line and "lifeline.py" not in line:
                found[kind] = found.get(kind, 0.0) + process.memory_info().rss / MIB
    return found


def growth(samples: list[Sample], kept_events: int) -> list[Row]:
    """Of each kind of process over the second half of the results, for each 10 000; and what Redis uses.

    Medians over a twentieth of the results are compared, so that the copies by which Redis rewrites its file and the
    conductor's table at the end do not count.
    """
    with_workers = [sample for sample in samples if "worker" in sample.rss_mib]
    last = with_workers[-1]
    early = [sample for sample in with_workers if 0.5 <= sample.results / max(1, last.results) <= 0.55]
    late = [sample for sample in with_workers if sample.results >= 0.95 * last.results]
    early = early or [next(sample for sample in with_workers if sample.results >= last.results / 2)]
    results = [median(sample.results for sample in some) for some in (early, late)]
    pace = f"{results[1]:.0f} results at {last.results / max(1.0, last.at_s):,.0f} a second"
    found = []
    for kind in dict.fromkeys(NAMES.values()):
        mib = [[sample.rss_mib[kind] for sample in some if kind in sample.rss_mib] for some in (early, late)]
        if all(mib):
            before, after = map(median, mib)
            found.append(
                Row(
                    f"memory of {kind} for each further 10 000 results",
                    (after - before) / max(1.0, results[1] - results[0]) * 10_000, "MiB", 10.0, "at most",
                    f"{before:.0f} MiB after {results[0]:.0f}, {after:.0f} MiB after {pace}",
                )
            )  # fmt: skip
    about = (
        f"log of {last.log_events} events, kept_events {kept_events}; append-only file {last.append_only_mib:.0f} MiB"
    )
    return [*found, Row("memory that Redis uses at the end", last.redis_mib, "MiB", 1024.0, "at most", about)]


def drawn(samples: list[Sample]) -> Figure:
    """Memory of each kind of process over the results, each line with its name at its end."""
    from moireloop.figures.style import new_figure

    figure = new_figure(8, 5, "Memory of each service over a campaign's results")
    axes = figure.subplots()
    kinds = [kind for kind in dict.fromkeys(NAMES.values()) if sum(kind in one.rss_mib for one in samples) > 2]
    ends = []
    for kind in sorted(kinds, key=lambda kind: -samples[len(samples) // 2].rss_mib.get(kind, 0.0)):
        if kind != "archiver":
            seen = [(one.results / 1000, one.rss_mib[kind]) for one in samples if kind in one.rss_mib]
            (line,) = axes.plot(*zip(*seen, strict=True), linewidth=1.5)
            ends.append((kind, *seen[-1], line.get_color()))
    axes.set(xlabel="results, in thousands", ylabel="resident memory, MiB", ylim=(0, None))
    axes.margins(x=0.02)
    axes.spines[["top", "right"]].set_visible(False)
    name_ends(axes, ends)
    return figure


def name_ends(axes: Axes, ends: Sequence[tuple[str, float, float, ColorType]]) -> None:
    """Write names to the right of where lines end, in the order of the ends and as far apart as they need.

    Args:
        ends: name, x, y and colour of each.
    """
    from scipy.optimize import isotonic_regression

    axes.figure.figure.draw_without_rendering()
    to_points = 72 / axes.figure.figure.dpi
    placed = sorted(ends, key=lambda end: end[2])
    heights = [to_points * axes.transData.transform((x, y))[1] for _, x, y, _ in placed]
    steps = LABEL_APART * np.arange(len(placed))
    lowest = to_points * axes.bbox.y0 + LABEL_SIZE / 2
    near = np.maximum(isotonic_regression(heights - steps).x, lowest) + steps
    for (name, x, y, colour), away in zip(placed, near - heights, strict=True):
        axes.annotate(
            name, (x, y), xytext=(LABEL_AWAY, away), textcoords="offset points", va="center",
            color=colour, fontsize=LABEL_SIZE, arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.7, "shrinkA": 1},
        )  # fmt: skip


def main() -> None:
    """Measure, draw, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--results", type=int, default=100_000)
    parser.add_argument("--kept-events", type=int, default=100_000)
    arguments = parser.parse_args()
    found = rows(arguments.results, arguments.kept_events, picture=arguments.picture)
    show(found, Console(width=160))


if __name__ == "__main__":
    main()
