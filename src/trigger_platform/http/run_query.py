"""What requests say about which runs they mean, in the query of a list or in the body of a bulk action."""

from __future__ import annotations

from typing import Any

from trigger_core import clock, duration
from trigger_core.errors import InvalidDurationError, UsageError
from trigger_core.schemas.bulk_actions import BulkFilter, BulkQueue
from trigger_platform.engine import queue_name
from trigger_platform.engine.run_filter import RunFilter
from trigger_platform.http import present
from trigger_platform.http.endpoint import Incoming
from trigger_platform.reads.runs import Filters

__all__ = ["of_body", "of_query"]


def of_query(call: Incoming[Any]) -> Filters:
    """Return the page and the filters that a query asks for.

    Raises:
        UsageError: one of them means nothing.
    """
    return Filters(
        statuses=present.internal_statuses(_texts(call, "status")),
        tasks=_texts(call, "taskIdentifier"),
        versions=_texts(call, "version"),
        tags=_texts(call, "tag"),
        queues=_texts(call, "queue"),
        machines=_texts(call, "machine"),
        regions=_texts(call, "region"),
        batch=call.query("filter[batch]"),
        schedule=call.query("filter[schedule]"),
        bulk_action=call.query("filter[bulkAction]"),
        is_test=_flag(call, "isTest"),
        is_root=_flag(call, "rootOnly") is True,
        created_from=_oldest(call),
        created_to=_moment("filter[createdAt][to]", call.query("filter[createdAt][to]")),
        size=call.number("page[size]", 25, low=1, high=100),
        after=call.query("page[after]"),
        before=call.query("page[before]"),
    )


def of_body(given: BulkFilter, now: int) -> RunFilter:
    """Return the filter that a body asks for; a period reaches until now.

    Raises:
        UsageError: a part of it means nothing.
    """
    queues = given.queue if isinstance(given.queue, list) else [given.queue]
    return RunFilter(
        statuses=present.internal_statuses(_list(given.status)),
        tasks=_list(given.task_identifier),
        versions=_list(given.version),
        tags=_list(given.tag),
        queues=[_queue(one) for one in queues if one is not None],
        machines=_list(given.machine),
        regions=_list(given.region),
        batch=given.batch or "",
        schedule=given.schedule or "",
        bulk_action=given.bulk_action or "",
        is_test=given.is_test,
        created_from=_since(given.period, now) or _moment("from", given.from_),
        created_to=_moment("to", given.to),
    )


def _queue(one: BulkQueue) -> str:
    return queue_name.of_task(one.name) if one.type == "task" else one.name


def _list(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []


def _texts(call: Incoming[Any], name: str) -> list[str]:
    return [text for text in call.query(f"filter[{name}]").split(",") if text]


def _flag(call: Incoming[Any], name: str) -> bool | None:
    text = call.query(f"filter[{name}]")
    if text not in {"", "true", "false"}:
        raise _bad(f"filter[{name}]", text, "true or false")
    return text == "true" if text else None


def _oldest(call: Incoming[Any]) -> int | None:
    """Return the moment before which runs are too old: a moment, or a period until now."""
    name = "filter[createdAt][from]"
    period = call.query("filter[createdAt][period]")
    return _since(period, call.server.units.clock.now()) or _moment(name, call.query(name))


def _since(period: str | None, now: int) -> int | None:
    if not period:
        return None
    try:
        return now - duration.parse_ms(period)
    except InvalidDurationError as error:
        raise _bad("period", period, "a duration such as 7d") from error


def _moment(name: str, given: str | int | None) -> int | None:
    if given is None or given == "":
        return None
    if isinstance(given, int) or given.isdecimal():
        return int(given)
    try:
        return clock.from_iso(given)
    except ValueError as error:
        raise _bad(name, given, "a moment in ISO 8601 or in ms since the epoch") from error


def _bad(name: str, text: str, expected: str) -> UsageError:
    return UsageError(f"Query Error: {name} must be {expected}, not {text!r}", code="INVALID_QUERY")
