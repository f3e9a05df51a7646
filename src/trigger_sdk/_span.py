"""Spans of the user's code: what took how long, told to the platform once it is over.

They need no library. In a program that uses OpenTelemetry they are its spans, so both kinds nest.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from trigger_core import trace_context
from trigger_core.trace_context import SpanContext
from trigger_sdk._host import ActiveRun, current_run

__all__ = ["Recording", "Span", "SpanEvent", "active", "open_span"]


class Span(Protocol):
    """A span that is open; OpenTelemetry's have the same methods."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Note something about it."""
        ...

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Note that something happened now."""
        ...


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """What happened within a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any]


@dataclass(slots=True)
class Recording:
    """A span of ours; without an end it goes on."""

    place: SpanContext
    parent_id: str
    name: str
    started_ns: int
    attributes: dict[str, Any]
    events: list[SpanEvent] = field(default_factory=list)
    ended_ns: int | None = None
    error: str | None = None

    def set_attribute(self, key: str, value: Any) -> None:
        """Note something about it."""
        self.attributes[key] = value

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Note that something happened now."""
        self.events.append(SpanEvent(name, time.time_ns(), dict(attributes or {})))

    def fail(self, error: Exception) -> None:
        """Note an exception, in the words of OpenTelemetry."""
        kind = type(error).__qualname__
        self.error = f"{kind}: {error}"
        told = {
            "exception.type": kind,
            "exception.message": str(error),
            "exception.stacktrace": "".join(traceback.format_exception(error)),
        }
        self.add_event("exception", told)


class _Nothing:
    """What is open where nobody listens."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Forget it."""

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Forget it."""


_FORMS = (str, bool, int, float, list, tuple)
_current: ContextVar[Recording | None] = ContextVar("trigger_current_span", default=None)


def active() -> Recording | None:
    """Return the span of ours that is open where this is called."""
    return _current.get()


def open_span(name: str, attributes: Mapping[str, Any]) -> AbstractContextManager[Span]:
    """Open a span below the one that is open here, until the block ends; failed if an exception leaves it."""
    run, api = current_run.get(), sys.modules.get("opentelemetry.trace")
    if api is not None and (run is None or api.get_current_span().get_span_context().is_valid):
        tracer, given = api.get_tracer("trigger_sdk"), _plain(attributes)
        opened = tracer.start_as_current_span(name, attributes=given)
        return cast("AbstractContextManager[Span]", opened)
    return _recorded(run, name, attributes)


@contextmanager
def _recorded(run: ActiveRun | None, name: str, attributes: Mapping[str, Any]) -> Iterator[Span]:
    above = _above(run)
    if run is None or above is None:
        yield _Nothing()
        return
    place = SpanContext(above.trace_id, os.urandom(8).hex())
    span = Recording(place, above.span_id, name, time.time_ns(), dict(attributes))
    run.host.begin_span(span)
    token = _current.set(span)
    try:
        yield span
    except Exception as error:
        span.fail(error)
        raise
    finally:
        _current.reset(token)
        span.ended_ns = time.time_ns()
        run.host.end_span(span)


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as OpenTelemetry keeps them: what it has no form for is written as text."""
    return {
        key: value if isinstance(value, _FORMS) else str(value) for key, value in attributes.items()
    }


def _above(run: ActiveRun | None) -> SpanContext | None:
    opened = _current.get()
    if opened is not None:
        return opened.place
    told = None if run is None else run.ctx.run.traceparent
    return trace_context.parse(told or "")
