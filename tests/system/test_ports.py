"""What a running campaign opens to the network: loopback alone, and nothing that a stranger's bytes could hurt."""

from __future__ import annotations

import contextlib
import ipaddress
import random
import socket
from collections.abc import Callable

import pytest

from moireloop_broker.connection import free_port
from moireloop_broker.contract.events import RunFailed
from tests.helpers.sockets import Address, listening
from tests.system.running import RunningCampaign

Make = Callable[..., RunningCampaign]


def send_garbage(address: Address, seed: int) -> None:
    """Random bytes over a separate connection, which the other end may close whenever it likes."""
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=1.0) as connection:
        connection.sendall(random.Random(seed).randbytes(1 + seed * 37 % 5000))


@pytest.mark.parametrize("ranks", [pytest.param(1, marks=pytest.mark.long), 2])
def test_campaign_listens_on_loopback_alone_and_garbage_does_no_harm(campaign: Make, ranks: int) -> None:
    """Every socket of the whole process tree; each port gets bytes without any key, and no attempt is lost."""
    running = campaign(results=8)
    text = running.file.read_text(encoding="utf-8")
    running.file.write_text(text.replace("[workers]\n", f"[workers]\nranks = {ranks}\n"), encoding="utf-8")
    running.start()
    running.wait_for_results(2)
    assert running.process is not None
    found = listening([running.process.pid, *(process.pid for process in running.descendants())])
    assert found, "the broker and its Redis listen"
    assert {host for host, _ in found if not ipaddress.ip_address(host).is_loopback} == set()
    for address in found:
        for seed in range(30):
            send_garbage(address, seed)
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(8)
    assert [event for event in events if isinstance(event, RunFailed)] == []


def range_with_a_holder(stack: contextlib.ExitStack) -> int:
    """The first of ten ports, which is held from now on; the others are free as far as is known."""
    while True:
        low = free_port("127.0.0.1") // 10 * 10
        with contextlib.suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", low)))
            return low


def test_services_keep_to_the_ports_that_the_file_names(campaign: Make) -> None:
    """Redis, events, control and the frames of both analyzers: out of a range of ten, one of which somebody has."""
    running = campaign(results=5)
    text = running.file.read_text(encoding="utf-8")
    with contextlib.ExitStack() as stack:
        low = range_with_a_holder(stack)
        more = f'\n[network]\nports = "{low}-{low + 9}"\n[analyzers]\ncount = 2\n'
        text = text.replace("[frames]\n", '[frames]\ntransport = "tcp"\n')
        running.file.write_text(text + more, encoding="utf-8")
        running.start()
        running.wait_for_results(2)
        assert running.process is not None
        found = listening([running.process.pid, *(process.pid for process in running.descendants())])
        assert len(found) == 5
        assert {host for host, _ in found} == {"127.0.0.1"}
        assert {port for _, port in found} <= set(range(low + 1, low + 10))
        code, output = running.end()
        assert code == 0, output
    running.assert_exactly_one_result_each(5)
