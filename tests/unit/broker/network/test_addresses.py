"""Addresses of this machine: by name, by interface, and found automatically."""

from __future__ import annotations

import pytest

from moireloop_broker.network.addresses import (
    NoAddress,
    bind_address,
    host_of,
    interface_addresses,
    service_address,
    stays_here,
)
from moireloop_broker.network.ports import is_loopback


def test_name_or_address_is_taken_as_it_is() -> None:
    """Others are given what the campaign file says."""
    assert host_of("node-17") == "node-17"
    assert host_of("10.1.2.3") == "10.1.2.3"


def test_interface_means_its_address() -> None:
    """Loopback is an interface as any other."""
    assert host_of("interface:lo") == "127.0.0.1"
    assert interface_addresses()["lo"] == "127.0.0.1"
    assert stays_here("interface:lo")


def test_missing_interface_is_named_with_the_present_ones() -> None:
    """Whoever wrote it sees what there is to choose from."""
    with pytest.raises(NoAddress, match=r"no interface 'hsn9' with an IPv4 address; it has .*lo \(127\.0\.0\.1\)"):
        host_of("interface:hsn9")


def test_auto_is_an_address_of_this_machine_and_never_loopback() -> None:
    """Where there is nothing but loopback it says so, and what there is."""
    others = {address for address in interface_addresses().values() if not is_loopback(address)}
    if others:
        assert host_of("auto") in others
    else:
        with pytest.raises(NoAddress, match="no address except loopback"):
            host_of("auto")


def test_sockets_bind_to_addresses_of_this_machine_alone() -> None:
    """By name too. An address of somebody else's, or a name of nobody's, is named."""
    assert bind_address("localhost") == "127.0.0.1"
    with pytest.raises(OSError, match=r"192\.0\.2\.77 \(192\.0\.2\.77\) is not an address of this machine"):
        bind_address("192.0.2.77")
    with pytest.raises(OSError, match=r"the name 'no-such-host\.invalid' is unknown here"):
        bind_address("no-such-host.invalid")


def test_services_listen_where_the_broker_finds_them() -> None:
    """On loopback beside a broker of loopback; an interface that this machine lacks is not insisted on."""
    assert service_address("127.0.0.1", "127.0.0.1") == "127.0.0.1"
    assert service_address(None, "localhost") == "127.0.0.1"
    assert service_address("interface:hsn9", "127.0.0.1") == "127.0.0.1"
    assert service_address("interface:lo", "127.0.0.1") == "127.0.0.1"
