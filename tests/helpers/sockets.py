"""The ports on which processes listen, as the kernel tells them."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from pathlib import Path

LISTENS = "0A"

Address = tuple[str, int]


def listening(pids: Iterable[int]) -> set[Address]:
    """Address and port of every TCP socket on which one of these processes listens, and of every UDP socket."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    found: set[Address] = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/self/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[9] in inodes and (words[3] == LISTENS or table.startswith("udp")):
                found.add(_address(words[1]))
    return found


def _sockets(pid: int) -> set[str]:
    folder = f"/proc/{pid}/fd"
    found: set[str] = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            found.add(match[1])
    return found


def _address(text: str) -> Address:
    """An address of /proc/net, whose bytes stand in words of the machine's order."""
    address, port = text.split(":")
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    return str(ipaddress.ip_address(b"".join(words))), int(port, 16)
