"""Keeping the secrets of an environment out of what its runs say: lines, errors, spans.

Whether there are any costs nothing to know: the environment's row counts their changes. What was found for a
count is kept with it, so every process looks again after a change, and only then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trigger_core.redaction import Redactor
from trigger_core.schemas.workers import Completion, Failed, LogLine, TaskError
from trigger_platform.engine import variable
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, LogRow, PointRow, SpanRow

__all__ = ["NOTHING", "completions", "lines", "of", "point", "record", "redactor", "span"]

NOTHING = Redactor()


def of(u: Unit, environment: EnvironmentRow) -> Redactor:
    """Return what hides the secrets of an environment and of its parent."""
    return redactor(u, environment.id, environment.parent_id, environment.secrets_version)


def redactor(u: Unit, environment_id: str, parent_id: str | None, version: int) -> Redactor:
    """Return what hides the secrets of an environment, as they were at a count of their changes."""
    if version == 0:
        return NOTHING
    known = u.redactors.get(environment_id)
    if known is not None and known[0] == version:
        return known[1]
    found = variable.all_of(u, environment_id, parent_id)
    values = {variable.read(u.keys, row) for row in found if row.is_secret}
    # Attempts that began before the change still have the values of then.
    made = Redactor(values | known[1].values if known else values)
    u.redactors[environment_id] = version, made
    return made


def lines(hide: Redactor, told: Sequence[LogLine]) -> Sequence[LogLine]:
    """Return lines without secrets."""
    return [one.model_copy(update={"record": _record(hide, one)}) for one in told] if hide else told


def completions(hide: Redactor, ended: Sequence[Completion]) -> Sequence[Completion]:
    """Return the ends of attempts, their errors without secrets; what a task returns is its own affair."""
    if not hide:
        return ended
    return [
        one.model_copy(update={"error": _error(hide, one.error)})
        if isinstance(one, Failed)
        else one
        for one in ended
    ]


def record(hide: Redactor, row: LogRow) -> LogRow:
    """Return a line of telemetry without secrets."""
    if not hide:
        return row
    return replace(row, message=hide.line(row.message), attributes=_json(hide, row.attributes))


def span(hide: Redactor, row: SpanRow) -> SpanRow:
    """Return a span without secrets."""
    if not hide:
        return row
    return replace(
        row,
        name=hide.text(row.name),
        message=_text(hide, row.message),
        attributes=_json(hide, row.attributes),
        events=_json(hide, row.events),
        links=_json(hide, row.links),
    )


def point(hide: Redactor, row: PointRow) -> PointRow:
    """Return a data point without secrets."""
    if not hide:
        return row
    return replace(row, name=hide.text(row.name), attributes=_json(hide, row.attributes))


def _record(hide: Redactor, told: LogLine) -> object:
    said = told.record
    return said.model_copy(
        update={"message": hide.line(said.message), "attributes": hide.data(said.attributes)}
    )


def _error(hide: Redactor, error: TaskError) -> TaskError:
    texts = {"message": error.message, "stack_trace": error.stack_trace, "raw": error.raw}
    return error.model_copy(update={name: _text(hide, text) for name, text in texts.items()})


def _text(hide: Redactor, text: str | None) -> str | None:
    return None if text is None else hide.text(text)


def _json(hide: Redactor, text: str | None) -> str | None:
    return None if text is None else hide.json(text)
