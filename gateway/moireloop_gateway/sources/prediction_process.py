"""The program that runs the model's predictions: campaign on stdin, maps or advice on stdout, as JSON (main)."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moireloop.client.client import NotRunning, connect
from moireloop.stored import open_campaign
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_broker.processes.trial import ONE_THREAD


def main() -> int:
    """Read the results, fit, and write. One thread is enough, and leaves the cores to the workers."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    request = json.loads(sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(_said(request), allow_nan=False))
    return 0


def _said(request: dict[str, Any]) -> dict[str, Any]:
    from moireloop.experiment.chamber import advised
    from moireloop.results.hit_maps import hit_maps

    space = SearchSpace.model_validate({name: tuple(ends) for name, ends in request["space"].items()})
    targets = [Target.model_validate(target) for target in request["targets"]]
    results, patterns = _records(Path(request["folder"]), request["connection"], bool(request["patterns"]))
    if request.get("advice"):
        return asdict(advised(results, patterns, space, None, targets)) | {"target": targets[0].model_dump()}
    return hit_maps(results, space, targets, patterns)


def _records(folder: Path, connection: str, wants_patterns: bool) -> tuple[list[Result], list[PatternMeasured]]:
    if connection:
        try:
            with connect(connection, timeout_s=20) as client:
                patterns = client.patterns() if wants_patterns else []
                return [entry.message for entry in client.results()], [entry.message for entry in patterns]
        except NotRunning:
            if not folder.is_dir():
                raise
    stored = open_campaign(folder)
    events = stored.events([PatternMeasured]) if wants_patterns else ()
    return list(stored.results), [entry.message for entry in events]


if __name__ == "__main__":
    sys.exit(main())
