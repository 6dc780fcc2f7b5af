"""Campaigns in a real Tiled server: `make check-bluesky` installs it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import moireloop
from moireloop.bluesky.documents import Document, Documents
from moireloop.bluesky.entries import stored
from moireloop.results.files import write_results
from moireloop_broker.connection import free_port, read_connection
from moireloop_broker.contract.events import Candidate, Measurement, Observation
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.work_queue.attempts import AttemptLimits
from tests.helpers.grown import measured_pattern
from tests.helpers.stopped_campaigns import PARAMETERS, campaign_file, running_server
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue
from tests.integration.broker.test_work_queue import final_frame, report

pytest.importorskip("tiled.server", reason="Tiled's server is not installed; `make check-bluesky` has it")
pytest.importorskip("bluesky_tiled_plugins", reason="bluesky-tiled-plugins is not installed")

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

KEY = "ofthistest"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Tiled server with an empty catalog."""
    port = free_port("127.0.0.1")
    log = tmp_path_factory.mktemp("tiled") / "log"
    arguments = ("serve", "catalog", "--temp", "--api-key", KEY, "--host", "127.0.0.1", "--port", str(port))
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "tiled", *arguments], stdout=output, stderr=output)

    def listens() -> bool:
        if process.poll() is not None:
            raise AssertionError(log.read_text()[-3000:])
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    try:
        wait_until(listens, "Tiled listens", 200)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(20)


@pytest.fixture
def grown(tmp_path: Path) -> CampaignFolder:
    """A finished campaign with a measured, a refused and a failed result, two patterns, frames, and results.parquet."""
    with running_server(campaign_file(tmp_path), results=1) as (folder, _):
        connection = read_connection(folder.connection_file)
        with contextlib.closing(connection.open_redis()) as client:
            analysis = AnalysisQueue(client, connection.keys, "analyzer")
            queue = WholeQueue(client, connection.keys, limits=AttemptLimits(max_attempts=1))
            measured = Measurement(twist_deg=8.1, sigma_deg=0.1, order_lower=0.9, order_upper=0.8, grains_lower=1)
            for name, seen in (("m0", measured), ("m1", Measurement(reason="molten"))):
                queue.propose(Candidate(candidate_id=name, parameters=PARAMETERS, seed=2**31 - 1, proposed_s=1.0))
                lease = queue.take("worker", 1.0)
                assert lease is not None
                for step in (100, 200):
                    frame = Observation(candidate_id=name, attempt=1, step=step, time_ps=0.1, measurement=seen)
                    Observations(client, connection.keys).add(frame)
                queue.finish(lease, report("worker"), final_frame(name, 1))
                finished = analysis.take(1.0)
                assert finished is not None
                assert analysis.settle(finished, seen)
            for pattern in (measured_pattern("shot", 8.3, {"heater_k": 875.0}), measured_pattern("blank", None, {})):
                EventLog(client, connection.keys).append(pattern)
            CampaignState(client, connection.keys, connection.campaign).change("completed")
    campaign = moireloop.open(folder.root)
    bounds = {name: (low, high) for name, (low, high) in campaign.space.root.items()}
    write_results(folder, campaign.results, campaign.targets, bounds)
    return folder


def documents_of(folder: CampaignFolder) -> list[Document]:
    source = stored(moireloop.open(folder.root))
    documents = Documents(source.description)
    return [one for batch in source.batches for entry in batch for one in documents.of(entry)]


def command(folder: CampaignFolder, url: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    """`moireloop bluesky --tiled` with this key."""
    arguments = [sys.executable, "-m", "moireloop", "bluesky", str(folder.root), "--tiled", url]
    environment = {**os.environ, "TILED_API_KEY": key}
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)


def table(stream: Any) -> pd.DataFrame:
    frame: pd.DataFrame = stream.base["internal"].read()
    return frame.sort_values("seq_num").reset_index(drop=True)


def test_campaign_is_written_whole_once_and_reads_back_as_its_tables(server: str, grown: CampaignFolder) -> None:
    """Also after a writer that was killed in the middle of a run; a wrong key is said in a line."""
    from tiled.client import from_uri

    refused = command(grown, server, key="wrong")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    client = from_uri(server, api_key=KEY)
    documents = documents_of(grown)
    start = next(document for name, document in documents if document.get("candidate_id") == "m0")
    client.create_container(key=start["uid"], metadata={"start": {**start, "half": True}})
    first = command(grown, server)
    assert (first.returncode, first.stderr) == (0, "")
    assert "wrote 4 runs" in first.stdout
    again = command(grown, server)
    assert "wrote 0 runs" in again.stdout
    assert "4 were there" in again.stdout
    runs = {run.metadata["start"]["uid"]: run for run in client.values()}
    assert set(runs) == {document["uid"] for name, document in documents if name == "start"}
    assert "half" not in runs[start["uid"]].metadata["start"]
    assert list(table(runs[start["uid"]]["frames"])["step"]) == [100, 200]
    (session,) = (run for run in runs.values() if run.metadata["start"]["plan_name"] == "campaign")
    assert session.metadata["stop"]["exit_status"] == "success"
    wanted = pd.read_parquet(grown.results_parquet)
    read = table(session["results"])[list(wanted.columns)]
    pd.testing.assert_frame_equal(read, wanted, check_dtype=False)
    assert list(read["outcome"]) == ["failed", "measured", "refused"]
    assert list(table(session["primary"])["candidate_id"]) == list(wanted["candidate_id"])
    patterns = table(session["patterns"])
    assert list(patterns["pattern_id"]) == ["shot", "blank"]
    assert patterns["twist_deg"][0] == 8.3
    assert pd.isna(patterns["twist_deg"][1])
    assert patterns["reason"][1] == "too faint"
    assert json.loads(patterns["parameters"][0]) == {"heater_k": 875.0}
    assert json.loads(patterns["peaks"][0])["q_x_per_angstrom"] == [2.3]
    client.context.close()
