"""The program that indexes a pattern and submits it: folder and body on stdin, the event on stdout, as JSON (main)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from moireloop.client.client import NotRunning, RequestRefused, connect
from moireloop.client.requests import BadArgument
from moireloop.experiment.refused import PatternRefused
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.extras import MissingExtra
from moireloop_broker.processes.trial import ONE_THREAD

WHERE: Final = "columns"
"""What a message about a column begins with."""

REFUSALS: Final = {
    PatternRefused: "PatternRefused",
    BadArgument: "MalformedRequest",
    NotRunning: "NotRunning",
    NoConnectionFile: "NotRunning",
    RequestRefused: "RequestRefused",
    MissingExtra: "MissingExtra",
}


def main() -> int:
    """Index and submit. One thread is enough, and leaves the cores to the workers."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    request = json.loads(sys.stdin.buffer.read())
    try:
        said = _submitted(Path(request["folder"]), request["connection"], request["body"])
    except tuple(REFUSALS) as error:
        said = {"error": REFUSALS[type(error)], "message": " ".join(str(error).split())[:1000]}
    sys.stdout.write(json.dumps(said, allow_nan=False))
    return 0


def _submitted(folder: Path, connection: str, body: dict[str, Any]) -> Any:
    from moireloop.experiment.columns import peaks_of_columns

    columns = {name: np.array(values, dtype=np.float64) for name, values in body["columns"].items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise PatternRefused(f"{WHERE}: expected as many values in each column, got {lengths}"[:500])
    peaks = peaks_of_columns(columns, WHERE, centre_error=body["centre_error"], instrument=body["instrument_fwhm"])
    known = {"lattices": body["lattices"] or _of_model(folder), "max_strain": body["max_strain"]}
    known["scale_within"] = body["scale_within"]
    options: Any = {name: value for name, value in known.items() if value is not None}
    with connect(connection, name=body["requester"], timeout_s=20) as client:
        event = client.submit_pattern(
            peaks,
            pattern_id=body["pattern_id"],
            parameters=body["parameters"],
            measured_s=body["measured_s"],
            **options,
        )
    return json.loads(event.model_dump_json())


def _of_model(folder: Path) -> tuple[float, float] | None:
    """The lattice constants of the campaign's growth model, if it has them."""
    from moireloop.campaign_file.errors import CampaignFileError
    from moireloop.campaign_file.load import load_copy
    from moireloop_broker.folder import CampaignFolder

    try:
        from moireloop_worker.models import crystal_of

        crystal = crystal_of(load_copy(CampaignFolder(folder)).growth)
    except (CampaignFileError, ImportError, OSError):
        return None
    return None if crystal is None else (crystal.lattice_angstrom, crystal.lattice_angstrom)


if __name__ == "__main__":
    sys.exit(main())
