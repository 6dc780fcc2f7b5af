"""The program that runs the model's predictions: campaign on stdin as JSON, maps of probabilities on stdout (main)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from moireloop.client.client import NotRunning, connect
from moireloop.stored import open_campaign
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_broker.processes.trial import ONE_THREAD


def main() -> int:
    """Read the results, fit, and write. One thread is enough, and leaves the cores to the workers."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    from moireloop.results.hit_maps import hit_maps

    request = json.loads(sys.stdin.buffer.read())
    space = SearchSpace.model_validate({name: tuple(ends) for name, ends in request["space"].items()})
    targets = [Target.model_validate(target) for target in request["targets"]]
    results = _results(Path(request["folder"]), request["connection"])
    sys.stdout.write(json.dumps(hit_maps(results, space, targets), allow_nan=False))
    return 0


def _results(folder: Path, connection: str) -> list[Result]:
    if not connection:
        return list(open_campaign(folder).results)
    try:
        with connect(connection, timeout_s=20) as client:
            return [entry.message for entry in client.results()]
    except NotRunning:
        if not folder.is_dir():
            raise
        return list(open_campaign(folder).results)


if __name__ == "__main__":
    sys.exit(main())
