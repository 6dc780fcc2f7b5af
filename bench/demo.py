"""The demo, from outside: how long it takes and how much of the time its workers spend inside LAMMPS."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.table import Row
from moireloop.campaign_file.load import load_campaign
from moireloop.results.results import utilisation
from moireloop.session.records import stored_records
from moireloop_broker.folder import CampaignFolder

DEMO = Path(__file__).parent.parent / "examples" / "demo.toml"


def rows(strategy: str = "auto", *, figures: bool = True, **numbers: int) -> list[Row]:
    """Wall time of `moireloop run examples/demo.toml`, and slot utilisation of its workers.

    Args:
        strategy: the one that proposes candidates.
        figures: whether the run draws them at its end.
        numbers: instead of those that the file has, such as `results`.
    """
    with tempfile.TemporaryDirectory(prefix="moireloop-bench-") as root:
        file = Path(root) / "demo.toml"
        text = DEMO.read_text(encoding="utf-8")
        for name, number in numbers.items():
            text = re.sub(rf"(?m)^{name} = \d+\b", f"{name} = {number}", text)
        text = text.replace('strategy = "auto"', f'strategy = "{strategy}"')
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "moireloop", "run", *([] if figures else ["--no-figures"]), str(file)]
        begun_s = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        elapsed_s = time.perf_counter() - begun_s
        used = utilisation(stored_records(CampaignFolder(load_campaign(file, "look").folder))[0].results)
    baseline = f"{used.md_s:.1f} s in LAMMPS of {used.wall_s:.1f} s between first and last lease"
    return [
        Row("demo, from start to table and figures", elapsed_s, "s", 120, "at most"),
        Row("slot utilisation of the demo's workers", 100 * (used.fraction or 0.0), "%", 97, "at least", baseline),
    ]
