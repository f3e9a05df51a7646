"""Whose program is at the other end of a connection from this machine: the kernel keeps it with a socket."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterator
from ipaddress import IPv4Address, ip_address
from pathlib import Path

__all__ = ["is_ours"]

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = "01"
_MAPPED = b"\0" * 10 + b"\xff\xff"

Address = tuple[str, int | None]


def is_ours(client: Address | None, server: Address | None) -> bool:
    """Tell whether a connection is of a program of this user, or of root; if the kernel does not say, it is.

    One that is over already has no owner any more, so it is nobody's: whoever wants something done waits.
    """
    if not _TABLES[0].exists():
        return True
    if client is None or server is None:  # it is over
        return False
    here, there = _spellings(client), _spellings(server)
    return any(_owner(line, here, there) in {0, os.getuid()} for line in _lines())


def _lines() -> Iterator[list[str]]:
    for table in _TABLES:
        if table.exists():
            for line in table.read_text().splitlines()[1:]:
                yield line.split()


def _owner(line: list[str], here: Container[str], there: Container[str]) -> int | None:
    """Return whose socket a line is about, if it is the one of a connection from here to there."""
    is_it = line[1] in here and line[2] in there and line[3] == _ESTABLISHED
    return int(line[7]) if is_it else None


def _spellings(address: Address) -> tuple[str, ...]:
    """Return how the tables write an address: in words of the machine; one of IPv4 may be in both."""
    host, port = ip_address(address[0].partition("%")[0]), f":{address[1] or 0:04X}"
    if isinstance(host, IPv4Address):
        return (_words(host.packed) + port, _words(_MAPPED + host.packed) + port)
    return (_words(host.packed) + port,)


def _words(packed: bytes) -> str:
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
