"""What must be true of the database at every commit (engine 9.5), and how to find what breaks it.

The engine keeps these by construction: everything a transition implies happens in its transaction. They
are checked all the same, by the tests after every step and by the reconciler for as long as a server runs,
because a disk, an operator or a defect may break what the code keeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from trigger_platform.engine import repair
from trigger_platform.engine.states import (
    FINAL_STATUSES,
    HOLDING_STATES,
    INITIAL_STATES,
    LEASED_STATES,
    LEGAL_MOVES,
)
from trigger_platform.engine.unit import Unit

__all__ = ["CHECKS", "Check", "Span", "Violation", "everything", "find", "mend", "next_span"]

Subjects = Literal["runs", "batches", "environments"]


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant.

    Attributes:
        name: ``I1`` to ``I12``.
        promise: what must be true.
        statement: the query that finds what breaks it.
        over: what its subjects are.
        params: what the query needs to know.
        mend: mends one subject; ``None`` when only people can.
        is_advisory: whether it may be broken for a while without anything being wrong.
    """

    name: str
    promise: str
    statement: str
    over: Subjects = "runs"
    params: Mapping[str, str] = field(default_factory=dict)
    mend: Callable[[Unit, str], None] | None = None
    is_advisory: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Subjects with ids from ``low`` to ``high``, both included."""

    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A subject that breaks an invariant, and how."""

    check: Check
    subject: str
    what: str


@dataclass(frozen=True, slots=True)
class _Found:
    subject: str
    what: str


def _texts(values: Iterable[str]) -> str:
    return json.dumps(sorted(str(value) for value in values))


_LEGAL = _texts(
    f"{before!s}>{after!s}" for before, afters in LEGAL_MOVES.items() for after in afters
)

CHECKS: tuple[Check, ...] = (
    Check(
        "I1",
        "a final run holds nothing, waits for nothing, and those who wait for it were told",
        "check_final_runs",
        params={"final": _texts(FINAL_STATUSES)},
        mend=repair.final_run,
    ),
    Check(
        "I2",
        "a run holds a slot exactly in the states that hold one",
        "check_slots_follow_states",
        params={"holding": _texts(HOLDING_STATES)},
        mend=repair.slot,
    ),
    Check(
        "I3",
        "no more slots are held than allowed (until runs end, after a limit was lowered)",
        "check_limits",
        over="environments",
        is_advisory=True,
    ),
    Check(
        "I4",
        "the history of a run is complete and every step in it is legal",
        "check_history",
        params={"legal": _LEGAL, "initial": _texts(INITIAL_STATES)},
    ),
    Check("I5", "a waiting run has something to wait for", "check_waits", mend=repair.stuck_wait),
    Check(
        "I6",
        "a state that must not last has a deadline",
        "check_deadlines",
        params={"leased": _texts(LEASED_STATES)},
        mend=repair.deadline,
    ),
    Check("I7", "attempts stay within the policy and never decrease", "check_attempts"),
    Check(
        "I8",
        "one run answers for an idempotency key",
        "check_idempotency",
        mend=repair.second_key,
    ),
    Check(
        "I9",
        "a batch counts right, ends when everything is settled, and tells of it",
        "check_batches",
        over="batches",
        mend=repair.batch_count,
    ),
    Check("I10", "a tick of a schedule makes one run", "check_ticks"),
    Check(
        "I11",
        "a run is told of the end of each of its waits, once",
        "check_deliveries",
        mend=repair.delivery,
    ),
    Check(
        "I12", "what is published of a run are steps it took", "check_outbox", mend=repair.outbox
    ),
)


def next_span(u: Unit, over: Subjects, after: str, size: int) -> Span | None:
    """Return the next ``size`` subjects behind an id; ``None`` at the end."""
    span = u.tx.one(f"slice_of_{over}", Span, after=after, size=size)
    return span if span.high else None


def find(u: Unit, check: Check, span: Span) -> list[Violation]:
    """Return what breaks an invariant among some subjects; nothing is written."""
    found = u.tx.all(check.statement, _Found, low=span.low, high=span.high, **check.params)
    return [Violation(check, one.subject, one.what) for one in found]


def everything(u: Unit, size: int = 1_000) -> Iterator[Violation]:
    """Go through all violations there are."""
    for check in CHECKS:
        after = ""
        while (span := next_span(u, check.over, after, size)) is not None:
            yield from find(u, check, span)
            after = span.high


def mend(u: Unit, violation: Violation) -> bool:
    """Mend a subject if it still breaks the invariant; tell whether it no longer does."""
    check, only = violation.check, Span(violation.subject, violation.subject)
    if not find(u, check, only):
        return True
    if check.mend is None:
        return False
    check.mend(u, violation.subject)
    return not find(u, check, only)
