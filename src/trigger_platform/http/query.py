"""Reading the parameters of a query: lists, flags, moments and periods (protocol 0.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from trigger_core import clock, duration
from trigger_core.errors import InvalidDurationError, UsageError
from trigger_platform.http import query_list
from trigger_platform.http.endpoint import Incoming
from trigger_platform.http.parameter import Parameter, integer

__all__ = [
    "CREATED",
    "CURSOR",
    "NUMBERED",
    "flag",
    "moment",
    "read_moment",
    "read_since",
    "since",
    "texts",
    "words",
]

CURSOR = (
    integer("page[size]", low=1, high=100),
    Parameter("page[after]", "The cursor `pagination.next` of the page before."),
    Parameter("page[before]", "The cursor `pagination.previous` of the page after."),
)
"""What a list takes that is read from item to item."""
NUMBERED = (integer("page", low=1), integer("perPage", low=1, says="A hundred at most."))
"""What a list takes whose pages have numbers."""
CREATED = (
    Parameter("filter[createdAt][period]", "So long ago at most, such as `7d`."),
    Parameter("filter[createdAt][from]", "A moment in ISO 8601, or in ms since the epoch."),
    Parameter("filter[createdAt][to]", "Likewise; it belongs to the window."),
)
"""What a list takes that is narrowed down by when things were made."""


_NUMBER = re.compile(r"[0-9]{1,18}\Z")


def texts(call: Incoming[Any], name: str) -> list[str]:
    """Return the parts of a list, which is written with commas; some clients write each part alone."""
    return query_list.parts(call.request, name)


def words(call: Incoming[Any], name: str, known: Iterable[str]) -> list[str]:
    """Return the parts of a list whose parts are known words.

    Raises:
        UsageError: there is no such word.
    """
    given, allowed = texts(call, name), tuple(known)
    for text in given:
        if text not in allowed:
            raise _bad(name, text, f"one of {', '.join(allowed)}")
    return given


def flag(call: Incoming[Any], name: str) -> bool | None:
    """Return ``true`` or ``false``, or ``None`` where nothing is said.

    Raises:
        UsageError: it is neither.
    """
    text = call.query(name)
    if text not in {"", "true", "false"}:
        raise _bad(name, text, "true or false")
    return text == "true" if text else None


def since(call: Incoming[Any], period: str, start: str) -> int | None:
    """Return where a window of time begins (ms): so long ago, or at a moment, whichever is given.

    Raises:
        UsageError: it cannot be read.
    """
    text = call.query(period)
    if not text:
        return moment(call, start)
    return read_since(period, text, call.server.units.clock.now())


def moment(call: Incoming[Any], name: str) -> int | None:
    """Return a moment (ms).

    Raises:
        UsageError: it cannot be read.
    """
    return read_moment(name, call.query(name))


def read_since(name: str, text: str, now: int) -> int:
    """Return the moment so long ago.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return now - duration.parse_ms(text)
    except InvalidDurationError as error:
        raise _bad(name, text, "a duration such as 7d") from error


def read_moment(name: str, text: str) -> int | None:
    """Return a moment (ms), or ``None`` where nothing is said.

    Raises:
        UsageError: it cannot be read.
    """
    if not text or _NUMBER.match(text):
        return int(text) if text else None
    try:
        return clock.from_iso(text)
    except ValueError as error:
        raise _bad(name, text, "a moment in ISO 8601 or in ms since the epoch") from error


def _bad(name: str, text: str, expected: str) -> UsageError:
    return UsageError(
        f"Query Error: {name} must be {expected}, not {text[:40]!r}", code="INVALID_QUERY"
    )
