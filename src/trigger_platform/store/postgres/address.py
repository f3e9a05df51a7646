"""Addresses of PostgreSQL databases: what of them is ours and what is the driver's."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from trigger_core.errors import StoreError

__all__ = ["Address", "parse"]


_PREPARED = "prepared_statements"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is.

    Attributes:
        url: what the driver is given.
        shown: the same for people, without the password.
        prepares: whether statements are prepared on the server; ``?prepared_statements=off`` in the address
            turns it off, for connection poolers that cannot keep them.
    """

    url: str
    shown: str
    prepares: bool = True


def parse(url: str) -> Address:
    """Read an address; it may name several hosts, of which one is the primary.

    Raises:
        StoreError: it is none.
    """
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        hosts = parts.netloc.rpartition("@")[2]
        for host in hosts.split(","):
            _ = urlsplit(f"//{host}").port  # it raises if that is no number
    except ValueError as error:
        raise _unreadable(str(error)) from error
    prepared = dict(given).get(_PREPARED, "on")
    if prepared not in {"on", "off"}:
        raise _unreadable(f"{_PREPARED} is {prepared!r}, it must be on or off")
    query = urlencode([(name, value) for name, value in given if name != _PREPARED])
    user = f"{parts.username}@" if parts.username else ""
    return Address(
        url=urlunsplit(("postgresql", parts.netloc, parts.path, query, "")),
        shown=f"postgresql://{user}{hosts}{parts.path}",
        prepares=prepared == "on",
    )


def _unreadable(because: str) -> StoreError:
    return StoreError(
        "the address of the database cannot be read",
        code="STORE_ADDRESS_INVALID",
        because=because,
        hint="write it like postgresql://user:password@host:5432/name",
    )
