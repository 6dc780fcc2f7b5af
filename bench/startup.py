"""How long commands and imports take to start, beside bare Python in the same turns."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.campaigns import BROKER_ALONE, campaign_of, session
from bench.table import Row
from bench.waits import earlier_results
from moireloop.campaign_file.load import keep_copy, read_campaign
from moireloop_broker.folder import CampaignFolder
from tests.helpers.campaign_files import BEAD

BARE = "pass"
GOALS_S = {"moireloop --version": 0.3, "moireloop --help": 0.3, "import moireloop": 0.6, "moireloop status": 0.6}
"""The first two over bare Python, the others in all."""

OVER_BARE = ("moireloop --version", "moireloop --help")
RESULTS = 100


def rows(rounds: int = 15) -> list[Row]:
    """Median seconds of each in turns, and the ratio to `python -c pass`; `status` of a running campaign."""
    with _running_campaign() as file:
        commands = {
            BARE: ["-c", BARE],
            "moireloop --version": ["-m", "moireloop", "--version"],
            "moireloop --help": ["-m", "moireloop", "--help"],
            "import moireloop": ["-c", "import moireloop"],
            "moireloop status": ["-m", "moireloop", "status", str(file)],
        }
        seconds = {name: [0.0] * rounds for name in commands}
        for number in range(rounds):
            for name, arguments in commands.items():
                seconds[name][number] = _seconds(arguments)
    bare_s = median(seconds.pop(BARE))
    return [_row(name, median(taken), bare_s) for name, taken in seconds.items()]


def _row(name: str, taken_s: float, bare_s: float) -> Row:
    over_s = bare_s if name in OVER_BARE else 0.0
    what = f"{name}, over bare Python" if over_s else name
    note = f"python -c pass {1000 * bare_s:.0f} ms, ratio {taken_s / bare_s:.1f}"
    return Row(what, taken_s - over_s, "s", GOALS_S[name], "at most", note)


def _seconds(arguments: Sequence[str]) -> float:
    begun_s = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begun_s


@contextmanager
def _running_campaign() -> Iterator[Path]:
    """The file of a campaign whose broker runs, and which has results."""
    with (
        campaign_of(BEAD, workers=1, results=10 * RESULTS) as campaign,
        session(campaign, without=BROKER_ALONE) as (_, connection),
    ):
        file = campaign.folder.with_name("bench.toml")
        file.write_text(campaign.toml(), encoding="utf-8")
        keep_copy(read_campaign(file), CampaignFolder(campaign.folder))
        client = connection.open_redis()
        earlier_results(client, connection.keys, RESULTS)
        client.close()
        yield file
