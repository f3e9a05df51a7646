"""From what was exported to the rows it would become; pure, and done before a transaction is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import pydantic_core

from trigger_platform.otlp.exported import Exported, Line, Point, Span, cut, is_id
from trigger_platform.store.rows import LogRow, PointRow, SpanRow

__all__ = ["Offer", "Offered", "offered"]

_LARGEST = 128 * 1024
_LONGEST_LINE = 64 * 1024
_NS = 1_000_000
_LEVELS = ("DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_ABOUT = "$metadata."
"""What the official worker puts before whatever says whose a record is."""
_HIDDEN = ("ctx.", "$trigger", _ABOUT)


@dataclass(frozen=True, slots=True)
class Offer:
    """A record: the environment it names, and its row; the attempt of a line is 0 when it names none."""

    environment_id: str
    row: SpanRow | LogRow | PointRow


@dataclass(frozen=True, slots=True)
class Offered:
    """The records of one request; how many cannot be, and how many were too many."""

    offers: list[Offer]
    invalid: int = 0
    surplus: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    environment_id: str
    run_id: str
    attempt: int


def offered(exported: Sequence[Exported], surplus: int, now: int) -> Offered:
    """Return what a request offers, at a moment; ``surplus`` records were not read."""
    made = [_offer(place, record, now) for place, record in _records(exported)]
    offers = [offer for offer in made if offer is not None]
    return Offered(offers, invalid=len(made) - len(offers), surplus=surplus)


def _records(exported: Sequence[Exported]) -> Iterator[tuple[_Place, Span | Line | Point]]:
    for one in exported:
        for span in one.spans:
            yield _place(one.resource, span.attributes), _meant(span)
        for line in one.lines:
            yield _place(one.resource, line.attributes), _announced(line) or line
        for point in one.points:
            yield _place(one.resource, point.attributes), point


def _place(resource: Mapping[str, Any], attributes: Mapping[str, Any]) -> _Place:
    """A record's own attributes come before those of its resource: a process may serve several runs."""

    def find(name: str) -> Any:
        return attributes.get(_ABOUT + name, attributes.get(name, resource.get(name)))

    attempt = find("ctx.attempt.number")
    return _Place(
        environment_id=str(find("ctx.environment.id") or ""),
        run_id=str(find("ctx.run.id") or ""),
        attempt=attempt if isinstance(attempt, int) and 0 < attempt < 2**31 else 0,
    )


def _meant(span: Span) -> Span:
    """Return the span that is meant: one that announces another has an id of its own (protocol D.10)."""
    if span.attributes.get("$span.partial") is not True:
        return span
    span_id = span.attributes.get("$span.span_id")
    return replace(
        span, span_id=span_id if isinstance(span_id, str) else span.span_id, ended_ns=None
    )


def _announced(line: Line) -> Span | None:
    """Return the span that a line announces (protocol D.10)."""
    span_id = line.attributes.get("$span.span_id")
    if not line.attributes.get("$span.partial") or not isinstance(span_id, str):
        return None
    return Span(
        trace_id=line.trace_id,
        span_id=span_id,
        parent_id=line.span_id or None,
        name=_text(line.body),
        started_ns=line.time_ns,
        ended_ns=None,
        is_error=False,
        message=None,
        attributes=line.attributes,
    )


def _offer(place: _Place, record: Span | Line | Point, now: int) -> Offer | None:
    """Return what a record would become; ``None`` when it cannot be."""
    if isinstance(record, Line):
        return Offer(place.environment_id, _log_row(place, record, now))
    if not record.is_valid:
        return None
    if isinstance(record, Point):
        return Offer(place.environment_id, _point_row(place, record, now))
    return Offer(place.environment_id, _span_row(place, record, now))


def _span_row(place: _Place, span: Span, now: int) -> SpanRow:
    attributes = _plain(span.attributes)
    events = _small_json(span.events)
    links = _small_json(span.links)
    return SpanRow(
        run_id=place.run_id,
        span_id=span.span_id,
        trace_id=span.trace_id,
        parent_id=span.parent_id if is_id(span.parent_id or "", 16) else None,
        name=span.name,
        started_ns=span.started_ns,
        ended_ns=span.ended_ns,
        is_error=int(span.is_error),
        message=span.message,
        attributes=attributes,
        events=events,
        links=links,
        bytes=len(span.name) + sum(len(text or "") for text in (attributes, events, links)),
        received_at=now,
    )


def _log_row(place: _Place, line: Line, now: int) -> LogRow:
    message, attributes = _text(line.body), _plain(line.attributes)
    what = pydantic_core.to_json([line.time_ns, line.severity, message, attributes, line.span_id])
    digest = blake2b(what, digest_size=8).digest()
    return LogRow(
        run_id=place.run_id,
        attempt=place.attempt,
        time=line.time_ns // _NS or now,
        level=_LEVELS[min(5, (line.severity - 1) // 4)] if line.severity else "INFO",
        source="otel",
        message=message,
        attributes=attributes,
        span_id=line.span_id if is_id(line.span_id, 16) else None,
        number=int.from_bytes(digest, signed=True),
    )


def _point_row(place: _Place, point: Point, now: int) -> PointRow:
    attributes = _plain(point.attributes)
    details = _json(point.details) if point.details else None
    what = [point.name, point.kind, point.unit, point.time_ns, point.value, details, attributes]
    digest = blake2b(pydantic_core.to_json(what), digest_size=8).digest()
    return PointRow(
        run_id=place.run_id,
        number=int.from_bytes(digest, signed=True),
        name=point.name,
        kind=point.kind,
        unit=point.unit or None,
        started_ns=point.started_ns or None,
        time_ns=point.time_ns,
        value=point.value,
        details=details,
        attributes=attributes,
        bytes=len(point.name) + len(details or "") + len(attributes or ""),
        received_at=now,
    )


def _plain(attributes: Mapping[str, Any]) -> str | None:
    """Return attributes as JSON, but those that only say whose they are; of far too many the small ones."""
    mine = {key: value for key, value in attributes.items() if not key.startswith(_HIDDEN)}
    text = _json(mine)
    if len(text) > _LARGEST:
        mine = {key: value for key, value in mine.items() if len(_json(value)) < 256}
        text = _json(mine)
    return text if mine else None


def _small_json(values: list[dict[str, Any]]) -> str | None:
    """Return events or links as JSON: from the first on, as many as there is room for."""
    while values and len(text := _json(values)) > _LARGEST:
        values = values[: len(values) // 2]
    return text if values else None


def _text(body: Any) -> str:
    return cut(body if isinstance(body, str) else _json(body), _LONGEST_LINE)


def _json(value: Any) -> str:
    """Numbers that JSON does not have become null."""
    return pydantic_core.to_json(value, inf_nan_mode="null").decode()
