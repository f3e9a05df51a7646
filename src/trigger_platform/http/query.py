"""Reading the parameters of a query: lists, flags, moments and periods (protocol 0.6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trigger_core import clock, duration
from trigger_core.errors import InvalidDurationError, UsageError
from trigger_platform.http.endpoint import Incoming

__all__ = [
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

CURSOR = ("page[size]", "page[after]", "page[before]")
"""What a list takes that is read from item to item."""
NUMBERED = ("page", "perPage")
"""What a list takes whose pages have numbers."""


def texts(call: Incoming[Any], name: str) -> list[str]:
    """Return the parts of a list, which is written with commas; some clients write each part alone."""
    given = call.request.query_params.getlist(name)
    return [text for part in given for text in part.split(",") if text]


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
    if not text or text.isdecimal():
        return int(text) if text else None
    try:
        return clock.from_iso(text)
    except ValueError as error:
        raise _bad(name, text, "a moment in ISO 8601 or in ms since the epoch") from error


def _bad(name: str, text: str, expected: str) -> UsageError:
    return UsageError(f"Query Error: {name} must be {expected}, not {text!r}", code="INVALID_QUERY")
