"""Batches: create, stream the items, read what became of them (protocol A.3, A.4)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from trigger_core.errors import ApiError, UnprocessableError
from trigger_core.packet import MAX_PAYLOAD_BYTES
from trigger_core.schemas.batches import (
    BatchCreated,
    BatchDetail,
    BatchDetailV1,
    BatchResults,
    CreateBatch,
    ItemsAdded,
    StreamedItem,
)
from trigger_core.schemas.trigger import (
    BatchItem,
    BatchTriggered,
    TaskBatchTriggered,
    TriggerBatch,
    TriggerTaskBatch,
)
from trigger_platform.engine import batch, batch_items, one_time, trigger
from trigger_platform.engine.batch_items import Added, Refused
from trigger_platform.engine.trace import Caller
from trigger_platform.engine.unit import Unit
from trigger_platform.http import ndjson, present, public_token
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.http.ndjson import Line
from trigger_platform.http.principal import forbidden
from trigger_platform.http.public_token import PublicToken
from trigger_platform.http.scopes import Resource
from trigger_platform.http.trace_headers import caller_of
from trigger_platform.reads import batches as reads
from trigger_platform.store.rows import BatchRow, EnvironmentRow, RunRow

__all__ = [
    "create_batch",
    "read_batch",
    "read_batch_v1",
    "read_results",
    "stream_items",
    "trigger_batch",
    "trigger_small_batch",
    "trigger_task_batch",
]

_CREATE_LIMIT = 128 * 1024
_AT_ONCE = 200
_NDJSON = {"application/x-ndjson", "application/ndjson"}
_TASK = re.compile(rb'"task"\s*:\s*"([^"\\]{1,128})"')
_INDEX = re.compile(rb'"index"\s*:\s*(\d{1,9})')

Items = list[tuple[int, BatchItem | Refused]]


@endpoint(
    "POST",
    "/api/v3/batches",
    access=Access.BATCH_TRIGGER,
    body=CreateBatch,
    returns=BatchCreated,
    body_limit=_CREATE_LIMIT,
    statuses=(200, 202),
)
async def create_batch(call: Incoming[CreateBatch]) -> Reply:
    """Create a batch that its items will be streamed into; a parent that waits, waits from now on."""
    tasks = call.body.task_identifiers
    _permit(call, tasks, [call.body.parent_run_id])
    caller = caller_of(call.request)
    created = await call.once(BatchCreated, _open, call.body, call.principal.public, caller)
    return Reply(created, _tokens(call, created.id), 200 if created.is_cached else 202)


@endpoint(
    "POST", "/api/v3/batches/{batch_id}/items", access=Access.BATCH_TRIGGER, returns=ItemsAdded
)
async def stream_items(call: Incoming[None]) -> ItemsAdded:
    """Take the items of a batch as lines of JSON; each is taken once, however often it comes."""
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in _NDJSON:
        raise ApiError(f"the items come as {min(_NDJSON)}, not {kind!r}", status=415)
    totals = _Totals(call)
    chunk: Items = []
    async for line in ndjson.lines(call.request.stream(), MAX_PAYLOAD_BYTES):
        chunk.append(_item(line))
        if len(chunk) == _AT_ONCE:
            await totals.add(chunk)
            chunk = []
    await totals.add(chunk)
    return await totals.seal()


@endpoint("GET", "/api/v2/batches/{batch_id}", access=Access.BATCH_READER, returns=BatchDetail)
async def read_batch(call: Incoming[None]) -> BatchDetail:
    """Read a batch: its status, its runs, and the items that could not be triggered."""
    found = await call.server.read(reads.full, call.environment_id, call.path("batch_id"))
    return present.batch(found)


@endpoint("GET", "/api/v1/batches/{batch_id}", access=Access.BATCH_READER, returns=BatchDetailV1)
async def read_batch_v1(call: Incoming[None]) -> BatchDetailV1:
    """Read a batch (older clients)."""
    found = await call.server.read(reads.full, call.environment_id, call.path("batch_id"))
    return present.batch_v1(found)


@endpoint(
    "GET", "/api/v1/batches/{batch_id}/results", access=Access.BATCH_READER, returns=BatchResults
)
async def read_results(call: Incoming[None]) -> BatchResults:
    """Read how the runs of a batch ended; those that go on are left out."""
    batch_id = call.path("batch_id")
    found = await call.server.read(reads.results, call.environment_id, batch_id)
    return BatchResults(id=batch_id, items=[present.result(one) for one in found])


@endpoint(
    "POST",
    "/api/v1/tasks/batch",
    access=Access.BATCH_TRIGGER,
    body=TriggerBatch,
    returns=BatchTriggered,
    statuses=(202,),
)
async def trigger_batch(call: Incoming[TriggerBatch]) -> Reply:
    """Create up to a thousand runs at once, all or none."""
    return Reply(await _create(call), status=202)


@endpoint(
    "POST",
    "/api/v2/tasks/batch",
    access=Access.BATCH_TRIGGER,
    body=TriggerBatch,
    returns=BatchCreated,
    statuses=(202,),
)
async def trigger_small_batch(call: Incoming[TriggerBatch]) -> Reply:
    """Create runs at once, all or none, and answer with their number (older clients)."""
    made = await _create(call)
    created = BatchCreated(id=made.id, run_count=len(made.runs))
    return Reply(created, _tokens(call, made.id), 202)


@endpoint(
    "POST",
    "/api/v1/tasks/{task_id:path}/batch",
    access=Access.BATCH_TRIGGER,
    body=TriggerTaskBatch,
    returns=TaskBatchTriggered,
)
async def trigger_task_batch(call: Incoming[TriggerTaskBatch]) -> TaskBatchTriggered:
    """Create up to a hundred runs of one task at once, all or none (oldest clients)."""
    task = call.path("task_id")
    items = [
        BatchItem(task=task, payload=one.payload, options=one.options) for one in call.body.items
    ]
    _permit_at_once(call, items)
    made = await call.server.write(
        trigger.create_batch,
        call.environment_id,
        TriggerBatch(items=items),
        key=call.request_key(),
        caller=caller_of(call.request),
    )
    return TaskBatchTriggered(batch_id=made.id, runs=[run.id for run in made.runs])


class _Totals:
    """What has come of a stream of items so far."""

    def __init__(self, call: Incoming[None]) -> None:
        self._call = call
        self._batch_id = call.path("batch_id")
        self._accepted = 0
        self._repeated = 0

    async def add(self, chunk: Items) -> None:
        """Add items in one transaction."""
        items = [item for _, item in chunk]
        parents = [one.options.parent_run_id for one in items if isinstance(one, BatchItem)]
        _permit(self._call, {item.task for item in items}, parents)
        added: Added = await self._call.server.write(
            batch_items.stream,
            self._call.environment_id,
            self._batch_id,
            chunk,
            caller=caller_of(self._call.request),
        )
        self._accepted += added.accepted
        self._repeated += added.repeated

    async def seal(self) -> ItemsAdded:
        """Seal the batch if everything is there."""
        row, sealed = await self._call.server.write(
            _seal, self._call.environment_id, self._batch_id
        )
        return ItemsAdded(
            id=row.id,
            items_accepted=self._accepted,
            items_deduplicated=self._repeated,
            sealed=sealed,
            enqueued_count=None if sealed else row.accepted,
            expected_count=None if sealed else row.run_count,
        )


def _permit(call: Incoming[Any], tasks: Iterable[str], parents: Iterable[str | None]) -> None:
    """Ask whether the caller may trigger batches of all of some tasks (of any, when none are named).

    Who may trigger batches as such, may.

    A run that is named as the parent must be one that the caller may write.
    """
    named = [Resource("tasks", task) for task in tasks] or [Resource("tasks")]
    for one in named:
        call.principal.require("batchTrigger", [one, Resource("batch")])
    for parent in {parent for parent in parents if parent is not None}:
        call.principal.require("write", [Resource("runs", parent)])


def _tokens(call: Incoming[Any], batch_id: str) -> dict[str, str]:
    units = call.server.units
    return public_token.headers_for_batch(
        units.keys,
        call.principal.environment,
        batch_id,
        units.clock.now(),
        is_browser=call.request.headers.get("x-trigger-client") == "browser",
    )


def _permit_at_once(call: Incoming[Any], items: Sequence[BatchItem]) -> None:
    """Ask for a batch that comes whole; tokens for one use are for batches in two phases."""
    tasks = {item.task for item in items}
    _permit(call, tasks, (item.options.parent_run_id for item in items))
    if call.principal.public is not None and call.principal.public.once is not None:
        raise forbidden()


async def _create(call: Incoming[TriggerBatch]) -> BatchTriggered:
    """Create a batch; a repetition is one that names the same tasks too (protocol 0.5)."""
    tasks = sorted({item.task for item in call.body.items})
    _permit_at_once(call, call.body.items)
    digest = hashlib.sha256("\n".join(tasks).encode()).hexdigest()
    return await call.server.write(
        trigger.create_batch,
        call.environment_id,
        call.body,
        key=call.request_key(f"#{digest}"),
        caller=caller_of(call.request),
    )


def _open(
    u: Unit,
    environment: EnvironmentRow,
    request: CreateBatch,
    public: PublicToken | None,
    caller: Caller | None,
) -> BatchCreated:
    if public is not None and public.once is not None:
        one_time.use(u, public.once, public.expires_at)
    parent = _parent(u, environment, request)
    waits = request.resume_parent_on_completion
    opened = batch.open_batch(
        u,
        environment,
        request.run_count,
        parent=parent if waits else None,
        triggered_by=parent.id if parent is not None and not waits else None,
        caller=caller,
        key=request.idempotency_key,
    )
    return BatchCreated(
        id=opened.batch.id,
        run_count=opened.batch.run_count,
        is_cached=opened.is_cached,
        idempotency_key=opened.batch.idempotency_key,
    )


def _parent(u: Unit, environment: EnvironmentRow, request: CreateBatch) -> RunRow | None:
    waits = request.resume_parent_on_completion
    if request.parent_run_id is not None:
        return trigger.find_parent(u, environment, request.parent_run_id, waits=waits)
    if waits:
        raise UnprocessableError(
            "resumeParentOnCompletion needs a parentRunId", status=422, code="PARENT_MISSING"
        )
    return None


def _seal(u: Unit, environment: EnvironmentRow, batch_id: str) -> tuple[BatchRow, bool]:
    row = batch.find(u, environment, batch_id)
    return row, batch.seal(u, row)


def _item(line: Line) -> tuple[int, BatchItem | Refused]:
    """Return an item and its index; one that is too large is refused alone, nonsense ends the stream."""
    if not line.is_whole:
        return _too_large(line)
    try:
        item = StreamedItem.model_validate_json(line.content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "line"
        is_json = first["type"] != "json_invalid"
        raise UnprocessableError(
            f'Invalid item: {first["msg"]} at "{place}"',
            status=422 if is_json else 400,
            code="BATCH_ITEM_INVALID",
        ) from error
    return item.index, BatchItem(task=item.task, payload=item.payload, options=item.options)


def _too_large(line: Line) -> tuple[int, Refused]:
    """Index and task stand at the front of a line; of one that is too large only that is looked at."""
    index, task = _INDEX.search(line.content[:4096]), _TASK.search(line.content[:4096])
    if index is None or task is None:
        raise UnprocessableError(
            f"an item of {line.size:,} bytes is too large", status=413, code="PAYLOAD_TOO_LARGE"
        )
    text = f"The payload has {line.size:,} bytes, {MAX_PAYLOAD_BYTES:,} are allowed."
    name: str = json.loads(b'"' + task[1] + b'"')
    return int(index[1]), Refused(name, "PAYLOAD_TOO_LARGE", text)
