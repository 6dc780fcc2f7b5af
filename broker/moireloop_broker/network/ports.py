"""Ranges of TCP ports, and what an endpoint's host shows without asking the network (pure)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

LOWEST: Final = 1024
"""Ports below this one are the system's."""

HIGHEST: Final = 65535


def port_range(text: str) -> range:
    """The ports of a range such as "41000-41099", or of a single number.

    Raises:
        ValueError: it is none; the text says what was expected.
    """
    expected = f'expected a range of ports from {LOWEST} to {HIGHEST} such as "41000-41099"'
    match = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:-\s*([0-9]{1,5})\s*)?", text)
    if match is None:
        raise ValueError(f"{expected}, got {text!r}")
    low, high = int(match[1]), int(match[2] or match[1])
    if not LOWEST <= low <= HIGHEST or not LOWEST <= high <= HIGHEST:
        raise ValueError(f"{expected}, got {text!r}")
    if high < low:
        raise ValueError(f"{expected}, the lower one first, got {text!r}")
    return range(low, high + 1)


def is_loopback(host: str) -> bool:
    """Whether a name or address, as written, can be reached only from its own machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.localdomain", "ip6-localhost")


def host_and_port(url: str) -> tuple[str, int]:
    """Host and port of an endpoint or URL; port 0 where it names none."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0
