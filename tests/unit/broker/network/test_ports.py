"""Ranges of ports, and hosts that are loopback by how they are written."""

from __future__ import annotations

import pytest

from moireloop_broker.network.ports import host_and_port, is_loopback, port_range


@pytest.mark.parametrize(
    ("text", "ports"),
    [("41000-41099", range(41000, 41100)), ("41000", range(41000, 41001)), (" 1024 - 65535 ", range(1024, 65536))],
)
def test_ranges_are_read(text: str, ports: range) -> None:
    """Both ends belong to a range; a single number is a range of one."""
    assert port_range(text) == ports


@pytest.mark.parametrize(
    "text",
    ["", "-", "a", "41000-", "-41000", "41000..41099", "41000-41099-41100", "1023", "65536", "99999999", "4e4",
     "41000,41001", "41099-41000", "80-90", "١٢٣٤٥"],
)  # fmt: skip
def test_invalid_range_is_refused(text: str) -> None:
    """The text shows what a range looks like."""
    with pytest.raises(ValueError, match=r'such as "41000-41099".*got'):
        port_range(text)


def test_range_of_the_wrong_order_says_so() -> None:
    """Where the ends are exchanged the text says which comes first."""
    with pytest.raises(ValueError, match="the lower one first"):
        port_range("41099-41000")


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True), ("127.3.2.1", True), ("localhost", True), ("LocalHost", True), ("::1", True),
        ("10.0.0.1", False), ("node17", False), ("auto", False), ("interface:lo", False), ("", False),
    ],
)  # fmt: skip
def test_loopback_is_recognized_by_its_text(host: str, answer: bool) -> None:
    """Nothing is looked up."""
    assert is_loopback(host) is answer


def test_endpoints_and_urls_name_host_and_port() -> None:
    """Of ZeroMQ and of Redis."""
    assert host_and_port("tcp://node-17:41000") == ("node-17", 41000)
    assert host_and_port("rediss://worker:pw@10.1.2.3:6380/0?ssl_ca_data=x") == ("10.1.2.3", 6380)
    assert host_and_port("redis://node") == ("node", 0)
