"""Which trace a run belongs to, in the terms of W3C Trace Context.

The ids of a run's own trace, of its root span and of its attempts follow from the run's id: whoever knows the
run can tell them, and nothing has to be stored for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b

__all__ = ["SpanContext", "attempt_span_id", "parse", "root_span_id", "span_id", "trace_id"]

_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
    r"(?P<more>-.*)?\Z"
)


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span, wherever it was made."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        """The header that names it as the parent; what the platform traces is sampled."""
        return f"00-{self.trace_id}-{self.span_id}-01"


def parse(traceparent: str) -> SpanContext | None:
    """Read a ``traceparent`` header; ``None`` when it names no span."""
    found = _TRACEPARENT.match(traceparent.strip())
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    if not found["trace"].strip("0") or not found["span"].strip("0"):
        return None
    return SpanContext(found["trace"], found["span"])


def trace_id(run_id: str) -> str:
    """Return the id of the trace that begins with a run."""
    return blake2b(run_id.encode(), digest_size=16, person=b"trace").hexdigest()


def root_span_id(run_id: str) -> str:
    """Return the id of the span that stands for a run."""
    return span_id(run_id, "run")


def attempt_span_id(run_id: str, attempt: int) -> str:
    """Return the id of the span that stands for an attempt of a run."""
    return span_id(run_id, f"attempt/{attempt}")


def span_id(run_id: str, part: str) -> str:
    """Return the id of a span that stands for a part of a run."""
    return blake2b(f"{run_id}/{part}".encode(), digest_size=8, person=b"span").hexdigest()
