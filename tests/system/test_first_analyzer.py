"""The beginning of a session: workers take no candidate before an analyzer is there."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from moireloop.services.start_condition import WAITING
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

pytestmark = pytest.mark.timeout(240)


def test_workers_begin_when_the_first_analyzer_is_there(campaign: Callable[..., RunningCampaign]) -> None:
    """While the only analyzer is held up there is no pool, and the output says why; then the campaign runs."""
    running = campaign(results=4)
    running.start()
    wait_until(lambda: running.find("moireloop_analyzer") is not None, "the analyzer's process")
    analyzer = running.find("moireloop_analyzer")
    assert analyzer is not None
    analyzer.send_signal(signal.SIGSTOP)
    wait_until(lambda: running.output.read_text().count(WAITING) > 1, "the output says twice what is waited for", 60)
    assert running.find("moireloop_worker.pool.service") is None
    analyzer.send_signal(signal.SIGCONT)
    code, output = running.end()
    assert code == 0, output
    running.assert_exactly_one_result_each(4)
    assert WAITING not in output.splitlines()[-1]
