"""A campaign run for the script or notebook that started it: `python -m ...running.child PARENT REPORT` (main).

PARENT is the id of that process: when it has gone, the campaign drains. REPORT is a file descriptor for what that
process wants to know, a JSON object a line (see moireloop.client.running). The request comes on stdin.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from moireloop.campaign_file.load import campaign_of_text
from moireloop.client.running import StartRequest
from moireloop.exit_codes import EXIT_FAILED, exit_code_of, lines_of, name_of
from moireloop_broker.extras import SESSION, refuse_without

LOOK_EVERY_S: Final = 0.5


def main(parent: int, report: int) -> int:
    """Carry out the request; returns the exit code of `moireloop run`."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="moireloop: %(message)s")
    threading.Thread(target=_drain_without, args=(parent,), daemon=True).start()
    request = StartRequest(**json.load(sys.stdin))
    try:
        return _run_request(request, report)
    except KeyboardInterrupt:
        from moireloop.session.startup import StartInterrupted

        return _report_error(report, StartInterrupted("interrupted before the campaign began"))
    except Exception as error:
        return _report_error(report, error)


def _report_error(report: int, error: Exception) -> int:
    """Say what ended the campaign; the exit code that it leads to. Raises the error itself where it has none."""
    code = exit_code_of(error)
    if code is None:
        raise error
    _say(report, {"error": name_of(error), "text": "\n".join(lines_of(error)), "exit_code": code})
    return code


def _run_request(request: StartRequest, report: int) -> int:
    refuse_without("Campaign.run", SESSION)
    from moireloop.commands.running.session import resume_file, run_file

    file = campaign_of_text(request.text, request.name, Path(request.folder))

    def held() -> None:
        _say(report, {"held": True})

    if request.purpose == "resume":
        session = resume_file(file, held, draws=request.figures)
    else:
        session = run_file(file, held, fresh=request.purpose == "fresh", draws=request.figures)
    for result in session.history.results:
        _say(report, {"result": result.model_dump(mode="json")})
    _say(report, {"reason": session.reason, "exit_code": session.exit_code})
    return session.exit_code


def _say(report: int, line: dict[str, Any]) -> None:
    os.write(report, json.dumps(line).encode() + b"\n")


def _drain_without(parent: int) -> None:
    """Ask this process to drain when its parent has gone. The death signal would follow a thread of the parent's."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(EXIT_FAILED)
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
