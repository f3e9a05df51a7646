"""Debouncing: triggers of one key collapse into one delayed run (engine 3.11).

A key belongs to an environment and a task. While its run is still delayed, each further trigger moves the run
later, in steps of a second and never earlier. A run that has left its delay, or that would be pushed beyond
``maxDelay`` of its creation, collects no more: it fires as it is, and the trigger makes the key's next run.

The key's row is claimed in the transaction that writes the run, so two first triggers cannot make two runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trigger_core import duration
from trigger_core.errors import InvalidDurationError, UnprocessableError
from trigger_core.schemas.trigger import Debounce
from trigger_platform.engine import execution_snapshot, tags
from trigger_platform.engine.new_run import NewRun
from trigger_platform.engine.states import ExecutionStatus, RunStatus, is_delayed
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import DebounceRow, RunRow

__all__ = ["Window", "collapse", "forget", "window"]

_STEP_MS = 1_000
"""Moments are rounded down to whole seconds, so that a burst of triggers writes once a second at most."""


@dataclass(frozen=True, slots=True)
class Window:
    """How triggers of a key collapse; ``max_delay_ms`` counts from the creation of the collecting run."""

    key: str
    delay_ms: int
    max_delay_ms: int | None
    is_trailing: bool


def window(asked: Debounce | None) -> Window | None:
    """Read what a trigger asks for.

    Raises:
        UnprocessableError: the delay is no duration of at least a second, or ``maxDelay`` does not exceed it:
            such triggers would never collapse.
    """
    if asked is None:
        return None
    delay_ms = _length("delay", asked.delay)
    if delay_ms < _STEP_MS:
        raise _refused(f"debounce.delay must be at least 1s, not {asked.delay!r}")
    max_delay_ms = None if asked.max_delay is None else _length("maxDelay", asked.max_delay)
    if max_delay_ms is not None and max_delay_ms <= delay_ms:
        raise _refused(
            f"debounce.maxDelay ({asked.max_delay}) must be longer than delay ({asked.delay})"
        )
    return Window(asked.key, delay_ms, max_delay_ms, asked.mode == "trailing")


def collapse(u: Unit, chosen: Window, new: NewRun) -> RunRow | None:
    """Return the run that collects this trigger; ``None`` when the new run is to be written.

    Raises:
        UnprocessableError: the new run has no delay in which it could collect.
    """
    if new.run.delay_until is None:
        raise _refused("a debounced run needs a delay that lies ahead")
    seen = _collecting(u, chosen, new.run, lock=False)
    if seen is not None and _is_covered(u, chosen, seen, new):
        return seen
    if u.tx.run("debounce_claim", **_values(chosen, new.run)):
        return None
    run = _collecting(u, chosen, new.run, lock=True)
    if run is None or not _has_room(u, chosen, run):
        u.tx.run("debounce_hand_over", **_values(chosen, new.run))
        return None
    return _push(u, chosen, _take_over(u, run, new) if chosen.is_trailing else run)


def forget(u: Unit, run: RunRow) -> None:
    """Let go of the key of a run that leaves its delay."""
    key = json.loads(run.annotations or "{}").get("debounceKey")
    if key is not None:
        u.tx.run(
            "debounce_forget",
            environment_id=run.environment_id,
            task=run.task,
            key=key,
            run_id=run.id,
        )


def _length(name: str, text: str) -> int:
    try:
        return duration.parse_ms(text)
    except InvalidDurationError as error:
        raise _refused(f"debounce.{name} must be a duration, not {text!r}") from error


def _refused(what: str) -> UnprocessableError:
    hint = 'write it like {"key": "user-1", "delay": "5s", "maxDelay": "1m"}'
    return UnprocessableError(what, status=422, code="INVALID_DEBOUNCE", hint=hint)


def _values(chosen: Window, run: RunRow) -> dict[str, Any]:
    return {
        "environment_id": run.environment_id,
        "task": run.task,
        "key": chosen.key,
        "run_id": run.id,
        "created_at": run.created_at,
    }


def _collecting(u: Unit, chosen: Window, new: RunRow, *, lock: bool) -> RunRow | None:
    """Return the run behind the key while it can still collect."""
    suffix = "_locked" if lock else ""
    known = u.tx.maybe(
        f"debounce_get{suffix}",
        DebounceRow,
        environment_id=new.environment_id,
        task=new.task,
        key=chosen.key,
    )
    if known is None:
        return None
    run = u.tx.maybe(
        f"run_by_id{suffix}", RunRow, id=known.run_id, environment_id=new.environment_id
    )
    return (
        run
        if run is not None and is_delayed(run.execution_status, run.delay_until, u.now)
        else None
    )


def _next_moment(u: Unit, chosen: Window) -> int:
    return (u.now + chosen.delay_ms) // _STEP_MS * _STEP_MS


def _has_room(u: Unit, chosen: Window, run: RunRow) -> bool:
    if chosen.max_delay_ms is None:
        return True
    return _next_moment(u, chosen) <= run.created_at + chosen.max_delay_ms


def _is_covered(u: Unit, chosen: Window, run: RunRow, new: NewRun) -> bool:
    """Tell whether the trigger changes nothing; most of a burst ends here, without a lock."""
    brings_data = chosen.is_trailing and bool(_replacements(new) or new.payload.data)
    is_later = _next_moment(u, chosen) > (run.delay_until or 0)
    return not brings_data and not is_later and _has_room(u, chosen, run)


def _replacements(new: NewRun) -> dict[str, Any]:
    """Return the columns that a trailing trigger replaces: those it gives."""
    given = {
        name: getattr(new.run, name)
        for name in ("tags", "max_attempts", "max_duration", "machine")
        if getattr(new.run, name) is not None
    }
    if new.run.metadata is not None:
        given["seed_metadata"] = given["metadata"] = new.run.metadata
    return given


def _take_over(u: Unit, run: RunRow, new: NewRun) -> RunRow:
    if new.payload.data is not None:
        u.tx.run("payload_replace", run_id=run.id, type=new.payload.type, data=new.payload.data)
    version = (
        run.metadata_version + 1
    )  # counts this change too, so that whoever follows the run sees it
    after = run._replace(updated_at=u.now, metadata_version=version, **_replacements(new))
    tags.replace(u, run, after)
    u.tx.run(
        "run_take_over",
        id=run.id,
        tags=after.tags,
        seed_metadata=after.seed_metadata,
        metadata=after.metadata,
        metadata_version=after.metadata_version,
        max_attempts=after.max_attempts,
        max_duration=after.max_duration,
        machine=after.machine,
        updated_at=u.now,
    )
    u.emit(run.environment_id, "run.changed", run.id, run.sequence)
    return after


def _push(u: Unit, chosen: Window, run: RunRow) -> RunRow:
    """Move the run later; its place in the queue stays that of its first moment."""
    moment = _next_moment(u, chosen)
    if moment <= (run.delay_until or 0):
        return run
    has_timer = run.execution_status == ExecutionStatus.DELAYED
    step = execution_snapshot.move(
        u,
        run,
        ExecutionStatus(run.execution_status),
        RunStatus(run.status),
        "Another trigger of its debounce key moved it later",
        delay_until=moment,
        due_at=moment if has_timer else run.due_at,
    )
    execution_snapshot.apply(u, [step])
    return step.run
