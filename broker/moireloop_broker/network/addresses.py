"""Under which address other hosts find this machine, and on which one its sockets listen (adapter).

Addresses are IPv4. What `network.host` says is looked up where and when it is needed: each allocation has another
first node, and each analyzer has its own address.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from functools import cache
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Final

from moireloop_broker.network.ports import is_loopback

AUTO: Final = "auto"

INTERFACE: Final = "interface:"

SIOCGIFADDR: Final = 0x8915

SOMEWHERE: Final = "192.0.2.1"
"""An address of the documentation's network (RFC 5737): nothing is sent to it, it only shows the way out."""

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class NoAddress(OSError):
    """This machine has no address such as is wanted; the text says what it has."""


def host_of(setting: str) -> str:
    """Name or address under which others find this machine, as `network.host` says.

    Args:
        setting: "auto", "interface:NAME", or a name or address, which is returned as it is.

    Raises:
        NoAddress: there is no such interface, or nothing but loopback.
    """
    if setting == AUTO:
        return _own_address()
    if setting.startswith(INTERFACE):
        return _address_of(setting.removeprefix(INTERFACE))
    return setting


def interface_of(setting: str | None) -> str | None:
    """The network interface that `network.host` names; None where it names none."""
    return setting.removeprefix(INTERFACE) if setting is not None and setting.startswith(INTERFACE) else None


def bind_address(host: str) -> str:
    """The IPv4 address of this machine that a name or address stands for, on which sockets can listen.

    Raises:
        OSError: it is unknown, or belongs to another machine; the text says which.
    """
    try:
        address = socket.gethostbyname(host)
    except OSError as error:
        raise OSError(error.errno, f"the name {host!r} is unknown here: {error.strerror or error}") from error
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            text = f"{host} ({address}) is not an address of this machine: {error.strerror}"
            raise OSError(error.errno, text) from error
    return address


def stays_here(setting: str) -> bool:
    """Whether services that listen where `network.host` says can be reached only from this machine."""
    try:
        return is_loopback(bind_address(host_of(setting)))
    except OSError:
        return is_loopback(setting)


def service_address(setting: str | None, broker_host: str) -> str:
    """The address on which a service of this machine listens that is not the broker: its own, wherever it runs.

    Args:
        setting: what `network.host` says; an interface that this machine has is used.
        broker_host: where the broker is found.

    Raises:
        OSError: the broker's host is unknown, or no way leads there.
    """
    if setting is not None and setting.startswith(INTERFACE):
        with contextlib.suppress(NoAddress):
            return host_of(setting)
    return address_towards(broker_host)


def address_towards(host: str) -> str:
    """The address of this machine from which packets to a host leave; nothing is sent. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


def interface_addresses() -> dict[str, str]:
    """Each network interface of this machine that has an IPv4 address, in the kernel's order, and that address."""
    import fcntl  # a controller's system may have none

    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                reply = fcntl.ioctl(asking, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found[name] = socket.inet_ntoa(reply[20:24])
    return found


@cache
def this_host() -> str:
    """Identifies this host among others, containers on the same machine included: boot id and host name."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    return f"{boot}/{socket.gethostname()}"


def _address_of(interface: str) -> str:
    addresses = interface_addresses()
    if interface not in addresses:
        raise NoAddress(f"this machine has no interface {interface!r} with an IPv4 address; it has {_shown(addresses)}")
    return addresses[interface]


def _own_address() -> str:
    """The address of the host's name, of the way out, or of the first interface, in this order; never loopback."""
    addresses = interface_addresses()
    here = set(addresses.values())
    for address in (*_of_host_name(), *_outbound_addresses(), *addresses.values()):
        if address in here and not is_loopback(address):
            return address
    raise NoAddress(f"this machine has no address except loopback; its interfaces are {_shown(addresses)}")


def _of_host_name() -> Iterable[str]:
    with contextlib.suppress(OSError):
        return [str(IPv4Address(address)) for address in socket.gethostbyname_ex(socket.gethostname())[2]]
    return []


def _outbound_addresses() -> Iterable[str]:
    with contextlib.suppress(OSError, AddressValueError):
        return [address_towards(SOMEWHERE)]
    return []


def _shown(addresses: dict[str, str]) -> str:
    return ", ".join(f"{name} ({address})" for name, address in addresses.items()) or "none with an IPv4 address"
