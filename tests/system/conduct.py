"""A conductor on one host: `python -m tests.system.conduct FILE run|resume`. Ends at SIGTERM.

What it sees stands beside the campaign file, for who cannot reach that host: each event of the log as a line of
`events.jsonl`, and the present status in `status.json`.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from moireloop.campaign_file.load import check, keep_copy, read_campaign, refuse_unreachable
from moireloop.session.conductor import Conductor
from moireloop.session.lock import locked
from moireloop_broker.connection import read_connection
from moireloop_broker.files import write_synced
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog


def main(path: Path, purpose: str) -> None:
    """Conduct the campaign until it is over or this process is asked to end."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    file = read_campaign(path)
    check(file, "resume" if purpose == "resume" else "run", cores=64)
    refuse_unreachable(file)
    file.folder.create()
    keep_copy(file, file.folder)
    conductor = Conductor(file.campaign, file.folder, resumed=purpose == "resume")
    with locked(file.folder), path.with_name("events.jsonl").open("a", encoding="utf-8") as lines:
        try:
            conductor.start()
            connection = read_connection(file.folder.connection_file)
            log, last_id = EventLog(connection.open_redis(), connection.keys), "0-0"
            state = CampaignState(connection.open_redis(), connection.keys, connection.campaign)
            while not asked and conductor.ending() is None:
                conductor.step()
                for entry_id, event in log.replay(last_id):
                    last_id = entry_id
                    lines.write(event.model_dump_json() + "\n")
                    lines.flush()
                write_synced(path.with_name("status.json"), state.status().model_dump_json())
                time.sleep(0.05)
            if (ending := conductor.ending()) is not None:
                conductor.finish(ending)
        finally:
            conductor.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
