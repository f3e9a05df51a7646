"""W3C Trace Context, and the ids that follow from a run's."""

from __future__ import annotations

import pytest

from trigger_core import trace_context
from trigger_core.trace_context import SpanContext, parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f" 00-{TRACE}-{SPAN}-00 ", True),
        (f"01-{TRACE}-{SPAN}-01-what-comes-later", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        ("", False),
    ],
)
def test_a_header_names_a_span_or_nothing(header: str, valid: bool) -> None:
    """As the recommendation says."""
    assert parse(header) == (SpanContext(TRACE, SPAN) if valid else None)


def test_the_ids_of_a_run_are_its_own_and_stay_the_same() -> None:
    """Spans of past attempts must be found by newer versions of this software."""
    run = "run_06dbd5v801u1g1pehgqrv69d01"
    found = [
        trace_context.trace_id(run),
        trace_context.root_span_id(run),
        trace_context.attempt_span_id(run, 1),
        trace_context.attempt_span_id(run, 2),
    ]

    assert found == PINNED
    assert parse(SpanContext(found[0], found[1]).traceparent) == SpanContext(found[0], found[1])


PINNED = [
    "427a398db6aa820c86568ee86aad2d71",
    "56953dc11f67bc6f",
    "3b2df23ef831da40",
    "48d15c74f7bf0b43",
]
