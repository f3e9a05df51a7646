"""What requests say about which runs they mean, in the query of a list or in the body of a bulk action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trigger_core.machines import PRESETS
from trigger_core.schemas.bulk_actions import BulkFilter, BulkQueue
from trigger_platform.engine import queue_name
from trigger_platform.engine.run_filter import RunFilter
from trigger_platform.http import present, query
from trigger_platform.http.endpoint import Incoming
from trigger_platform.http.parameter import Parameter, flag, texts, words
from trigger_platform.reads.runs import Filters

__all__ = ["NAMES", "of_body", "of_query"]

NAMES = (
    *query.CURSOR,
    words("filter[status]", present.KNOWN_STATUSES, says="In either vocabulary."),
    texts("filter[taskIdentifier]"),
    texts("filter[version]"),
    texts("filter[tag]", says="Runs that have any of them."),
    texts("filter[queue]", says="`task/<task id>` for the own queue of a task."),
    words("filter[machine]", PRESETS),
    texts("filter[region]"),
    Parameter("filter[batch]"),
    Parameter("filter[schedule]"),
    Parameter("filter[bulkAction]"),
    Parameter("filter[error]"),
    flag("filter[isTest]"),
    flag("filter[rootOnly]", says="An addition of ours: only runs that no run triggered."),
    *query.CREATED,
)
"""The parameters of a list of runs."""


def of_query(call: Incoming[Any]) -> Filters:
    """Return the page and the filters that a query asks for.

    Raises:
        UsageError: one of them means nothing.
    """
    return Filters(
        statuses=present.internal_statuses(query.texts(call, "filter[status]")),
        tasks=query.texts(call, "filter[taskIdentifier]"),
        versions=query.texts(call, "filter[version]"),
        tags=query.texts(call, "filter[tag]"),
        queues=query.texts(call, "filter[queue]"),
        machines=query.words(call, "filter[machine]", PRESETS),
        regions=query.texts(call, "filter[region]"),
        batch=call.query("filter[batch]"),
        schedule=call.query("filter[schedule]"),
        bulk_action=call.query("filter[bulkAction]"),
        error=call.query("filter[error]"),
        is_test=query.flag(call, "filter[isTest]"),
        is_root=query.flag(call, "filter[rootOnly]") is True,
        created_from=query.since(call, "filter[createdAt][period]", "filter[createdAt][from]"),
        created_to=query.moment(call, "filter[createdAt][to]"),
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
        created_from=query.read_since("period", given.period, now)
        if given.period
        else query.read_moment("from", _text(given.from_)),
        created_to=query.read_moment("to", _text(given.to)),
    )


def _queue(one: BulkQueue) -> str:
    return queue_name.of_task(one.name) if one.type == "task" else one.name


def _list(given: str | Sequence[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or [])


def _text(given: str | int | None) -> str:
    return "" if given is None else str(given)
