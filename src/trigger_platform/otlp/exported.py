"""What an exporter sent, in our own terms, whichever encoding it came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from trigger_core.errors import UsageError

__all__ = [
    "ATTRIBUTES",
    "Exported",
    "Line",
    "MalformedError",
    "Point",
    "Span",
    "cut",
    "is_id",
    "kept",
]

ATTRIBUTES = 256
"""How many attributes of a record are kept."""

_SAYING_WHOSE = ("$metadata.", "$span.", "ctx.")
_MOST_OF_THOSE = 64
_TEXT = 16 * 1024
_KEY = 256
_LAST_NS = 2**63 - 1
_HEX = frozenset("0123456789abcdef")


class MalformedError(UsageError):
    """The body is not what its content type says."""

    code = "OTLP_INVALID"


@dataclass(frozen=True, slots=True)
class Span:
    """A span; without ``ended_ns`` it is announced and goes on."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    started_ns: int
    ended_ns: int | None
    is_error: bool
    message: str | None
    attributes: Mapping[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """Whether it has an identity and moments that can be."""
        return (
            is_id(self.trace_id, 32)
            and is_id(self.span_id, 16)
            and 0 < self.started_ns <= (self.ended_ns or _LAST_NS) <= _LAST_NS
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A log record."""

    time_ns: int
    severity: int
    body: Any
    attributes: Mapping[str, Any]
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Point:
    """A data point of a metric: one number, or with ``details`` a distribution of many.

    ``details`` of a sum say how it goes on from one point to the next.
    """

    name: str
    kind: str
    unit: str
    started_ns: int
    time_ns: int
    value: float | None
    details: Mapping[str, Any]
    attributes: Mapping[str, Any]

    @property
    def is_valid(self) -> bool:
        """Whether it has a name, a moment that can be, and says something."""
        says = bool(self.details) if self.value is None else isfinite(self.value)
        return (
            bool(self.name)
            and 0 <= self.started_ns <= _LAST_NS
            and 0 < self.time_ns <= _LAST_NS
            and says
        )


@dataclass(frozen=True, slots=True)
class Exported:
    """What one resource sent."""

    resource: Mapping[str, Any]
    spans: list[Span] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)


def is_id(text: str, length: int) -> bool:
    """Tell whether a text is an id of so many hexadecimal digits, not all of them zero."""
    return len(text) == length and _HEX.issuperset(text) and bool(text.strip("0"))


def cut(text: str, length: int = _TEXT) -> str:
    """Return the text, or its beginning when it is too long."""
    return text if len(text) <= length else text[: length - 1] + "…"


def kept(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that are kept: so many, with keys and texts of a bearable length.

    Those that say whose a record is are there beside the others, wherever they stand.
    """
    found: dict[str, Any] = {}
    room = {True: _MOST_OF_THOSE, False: ATTRIBUTES}
    for key, value in attributes.items():
        says_whose = key.startswith(_SAYING_WHOSE)
        if room[says_whose]:
            room[says_whose] -= 1
            found[key[:_KEY]] = cut(value) if isinstance(value, str) else value
    return found
