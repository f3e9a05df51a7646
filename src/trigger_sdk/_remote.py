"""Everything the SDK asks of the platform, for blocking and for async callers."""

from __future__ import annotations

import asyncio
import atexit
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from trigger_core import duration, jwt, packet
from trigger_core.api.call import Call
from trigger_core.api.calls import auth as auth_calls
from trigger_core.api.calls import batches as batch_calls
from trigger_core.api.calls import idempotency as key_calls
from trigger_core.api.calls import packets as packet_calls
from trigger_core.api.calls import queues as queue_calls
from trigger_core.api.calls import runs as run_calls
from trigger_core.api.calls import tasks as task_calls
from trigger_core.api.calls import tokens as token_calls
from trigger_core.api.client import AsyncClient, Client
from trigger_core.clock import SystemClock
from trigger_core.duration import Duration, Moment
from trigger_core.errors import PayloadTooLargeError, PollTimeoutError
from trigger_core.packet import Packet
from trigger_core.schemas.batches import BatchDetail
from trigger_core.schemas.queues import QueueDetail
from trigger_core.schemas.runs import ReplayedRun, ReplayRun, RunDetail, RunSummary
from trigger_core.schemas.tokens import CreateToken, TokenCreated, TokenDetail
from trigger_core.schemas.trigger import (
    BatchItem,
    BatchTriggered,
    TriggerBatch,
    TriggerOptions,
    TriggerTask,
)
from trigger_sdk import _session
from trigger_sdk._session import Credentials
from trigger_sdk._trace_headers import trace_headers
from trigger_sdk.item import Item, TaskTarget
from trigger_sdk.options import Options, moment_text
from trigger_sdk.queues import QueueChange
from trigger_sdk.runs import BatchHandle, Run, RunHandle
from trigger_sdk.wait import Token

__all__ = ["Remote"]

R = TypeVar("R")
T = TypeVar("T")

_BATCH_ITEMS = 1000
_BATCH_BYTES = packet.MAX_PAYLOAD_BYTES


class Remote:
    """The platform; credentials are looked up when a call is made."""

    def __init__(self, credentials: Credentials | None = None) -> None:
        self._credentials = credentials

    @staticmethod
    def encode_payload(value: Any) -> Packet:
        """Write a payload, refusing one over 3 MiB.

        Raises:
            PayloadTooLargeError, UnserializableError: as they say.
        """
        encoded = packet.encode(value, name="payload")
        if encoded.size > packet.MAX_PAYLOAD_BYTES:
            raise PayloadTooLargeError(
                f"the payload has {encoded.size:,} bytes, {packet.MAX_PAYLOAD_BYTES:,} are allowed",
                hint="put the data in a file or an object store and pass its address",
            )
        return encoded

    @classmethod
    def item(cls, target: TaskTarget[R], payload: Any, options: Options) -> Item[R]:
        """Return a run to create, its payload written."""
        return Item(target, cls.encode_payload(payload), options)

    async def trigger(self, item: Item[R]) -> RunHandle[R]:
        """Create a run."""
        made = await self._send(_trigger_call(item))
        return RunHandle(made.id, made.is_cached, made.public_access_token, item.task.decode_output)

    def trigger_sync(self, item: Item[R]) -> RunHandle[R]:
        """Create a run."""
        made = self._send_sync(_trigger_call(item))
        return RunHandle(made.id, made.is_cached, made.public_access_token, item.task.decode_output)

    async def batch_trigger(self, items: Sequence[Item[Any]]) -> BatchHandle:
        """Create runs, in as many requests as their size needs."""
        return _batch([await self._send(call) for call in _batch_calls(items)])

    def batch_trigger_sync(self, items: Sequence[Item[Any]]) -> BatchHandle:
        """Create runs, in as many requests as their size needs."""
        return _batch([self._send_sync(call) for call in _batch_calls(items)])

    async def retrieve(self, run: RunHandle[R] | str) -> Run[R]:
        """Read a run."""
        detail = await self._send(run_calls.retrieve(_id(run)))
        if detail.output_presigned_url is not None:
            client = _async_client(self._credentials or _session.find())
            detail = _with_output(detail, await client.download(detail.output_presigned_url))
        return _run(run, detail)

    def retrieve_sync(self, run: RunHandle[R] | str) -> Run[R]:
        """Read a run."""
        detail = self._send_sync(run_calls.retrieve(_id(run)))
        if detail.output_presigned_url is not None:
            client = _client(self._credentials or _session.find())
            detail = _with_output(detail, client.download(detail.output_presigned_url))
        return _run(run, detail)

    async def read_packet(self, storage_path: str) -> Packet:
        """Read a packet that lies elsewhere."""
        found = await self._send(packet_calls.find(storage_path))
        client = _async_client(self._credentials or _session.find())
        return await client.download(found.presigned_url)

    def read_packet_sync(self, storage_path: str) -> Packet:
        """Read a packet that lies elsewhere."""
        found = self._send_sync(packet_calls.find(storage_path))
        return _client(self._credentials or _session.find()).download(found.presigned_url)

    async def poll(
        self, run: RunHandle[R] | str, *, interval: Duration, timeout: Duration
    ) -> Run[R]:
        """Read a run until it is over."""
        pause = duration.parse_ms(interval) / 1000
        deadline = time.monotonic() + duration.parse_ms(timeout) / 1000
        while True:
            found = await self.retrieve(run)
            if found.is_completed:
                return found
            _check_deadline(deadline, _id(run), timeout)
            await asyncio.sleep(pause)

    def poll_sync(
        self, run: RunHandle[R] | str, *, interval: Duration, timeout: Duration
    ) -> Run[R]:
        """Read a run until it is over."""
        pause = duration.parse_ms(interval) / 1000
        deadline = time.monotonic() + duration.parse_ms(timeout) / 1000
        while True:
            found = self.retrieve_sync(run)
            if found.is_completed:
                return found
            _check_deadline(deadline, _id(run), timeout)
            time.sleep(pause)

    async def cancel(self, run: RunHandle[Any] | str) -> None:
        """Cancel a run."""
        await self._send(run_calls.cancel(_id(run)))

    def cancel_sync(self, run: RunHandle[Any] | str) -> None:
        """Cancel a run."""
        self._send_sync(run_calls.cancel(_id(run)))

    async def replay(self, run: RunHandle[R] | str, *payload: Any) -> RunHandle[R]:
        """Replay a run, perhaps with another payload."""
        return _replayed(run, (await self._send(_replay_call(run, *payload))).id)

    def replay_sync(self, run: RunHandle[R] | str, *payload: Any) -> RunHandle[R]:
        """Replay a run, perhaps with another payload."""
        return _replayed(run, self._send_sync(_replay_call(run, *payload)).id)

    async def reschedule(self, run: RunHandle[R] | str, delay: Moment) -> Run[R]:
        """Give a delayed run another delay."""
        call = run_calls.reschedule(_id(run), moment_text(delay))
        return _run(run, await self._send(call))

    def reschedule_sync(self, run: RunHandle[R] | str, delay: Moment) -> Run[R]:
        """Give a delayed run another delay."""
        return _run(run, self._send_sync(run_calls.reschedule(_id(run), moment_text(delay))))

    async def add_tags(self, run_id: str, tags: Sequence[str]) -> None:
        """Add tags to a run."""
        await self._send(run_calls.add_tags(run_id, tags))

    def add_tags_sync(self, run_id: str, tags: Sequence[str]) -> None:
        """Add tags to a run."""
        self._send_sync(run_calls.add_tags(run_id, tags))

    async def reset_key(self, task_id: str, key_hash: str) -> None:
        """Free an idempotency key."""
        await self._send(key_calls.reset(task_id, key_hash))

    def reset_key_sync(self, task_id: str, key_hash: str) -> None:
        """Free an idempotency key."""
        self._send_sync(key_calls.reset(task_id, key_hash))

    async def sign_token(self, claims: dict[str, Any], life: Duration) -> str:
        """Make a public token of this environment."""
        return self._sign((await self._send(auth_calls.claims())).sub, claims, life)

    def sign_token_sync(self, claims: dict[str, Any], life: Duration) -> str:
        """Make a public token of this environment."""
        return self._sign(self._send_sync(auth_calls.claims()).sub, claims, life)

    async def revoke_token(self, token: str) -> None:
        """Refuse a public token of this environment."""
        await self._send(auth_calls.revoke_public_token(token))

    def revoke_token_sync(self, token: str) -> None:
        """Refuse a public token of this environment."""
        self._send_sync(auth_calls.revoke_public_token(token))

    def _sign(self, subject: str, claims: dict[str, Any], life: Duration) -> str:
        key = (self._credentials or _session.find()).secret_key
        full = {"sub": subject, "pub": True} | claims
        now_ms, life_ms = SystemClock().now(), duration.parse_ms(life)
        return jwt.sign(full, key, now_ms=now_ms, life_ms=life_ms)

    async def list(self, **filters: Any) -> AsyncIterator[RunSummary]:
        """Go through runs."""
        after: str | None = None
        while True:
            page = await self._send(run_calls.list_page(size=100, after=after, **filters))
            for run in page.data:
                yield run
            after = page.pagination.next
            if after is None:
                return

    def list_sync(self, **filters: Any) -> Iterator[RunSummary]:
        """Go through runs."""
        after: str | None = None
        while True:
            page = self._send_sync(run_calls.list_page(size=100, after=after, **filters))
            yield from page.data
            after = page.pagination.next
            if after is None:
                return

    async def retrieve_batch(self, batch_id: str) -> BatchDetail:
        """Read a batch."""
        return await self._send(batch_calls.retrieve(batch_id))

    def retrieve_batch_sync(self, batch_id: str) -> BatchDetail:
        """Read a batch."""
        return self._send_sync(batch_calls.retrieve(batch_id))

    async def create_token(self, request: dict[str, Any]) -> Token:
        """Create a token."""
        return _token(await self._send(token_calls.create(CreateToken.model_validate(request))))

    def create_token_sync(self, request: dict[str, Any]) -> Token:
        """Create a token."""
        return _token(self._send_sync(token_calls.create(CreateToken.model_validate(request))))

    async def complete_token(self, token_id: str, data: Any) -> None:
        """Complete a token."""
        await self._send(token_calls.complete(token_id, _plain(data)))

    def complete_token_sync(self, token_id: str, data: Any) -> None:
        """Complete a token."""
        self._send_sync(token_calls.complete(token_id, _plain(data)))

    async def retrieve_token(self, token_id: str) -> TokenDetail:
        """Read a token."""
        return await self._send(token_calls.retrieve(token_id))

    def retrieve_token_sync(self, token_id: str) -> TokenDetail:
        """Read a token."""
        return self._send_sync(token_calls.retrieve(token_id))

    async def list_tokens(self, **filters: Sequence[str]) -> AsyncIterator[TokenDetail]:
        """Go through tokens."""
        after: str | None = None
        while True:
            page = await self._send(token_calls.list_page(after=after, **filters))
            for token in page.data:
                yield token
            after = page.pagination.next
            if after is None:
                return

    def list_tokens_sync(self, **filters: Sequence[str]) -> Iterator[TokenDetail]:
        """Go through tokens."""
        after: str | None = None
        while True:
            page = self._send_sync(token_calls.list_page(after=after, **filters))
            yield from page.data
            after = page.pagination.next
            if after is None:
                return

    async def queues(self) -> AsyncIterator[QueueDetail]:
        """Go through queues."""
        number, pages = 1, 1
        while number <= pages:
            page = await self._send(queue_calls.list_page(page=number))
            for queue in page.data:
                yield queue
            number, pages = number + 1, page.pagination.total_pages

    def queues_sync(self) -> Iterator[QueueDetail]:
        """Go through queues."""
        number, pages = 1, 1
        while number <= pages:
            page = self._send_sync(queue_calls.list_page(page=number))
            yield from page.data
            number, pages = number + 1, page.pagination.total_pages

    async def queue(self, change: QueueChange) -> QueueDetail:
        """Read or change a queue."""
        return await self._send(_queue_call(change))

    def queue_sync(self, change: QueueChange) -> QueueDetail:
        """Read or change a queue."""
        return self._send_sync(_queue_call(change))

    @property
    def _async(self) -> AsyncClient:
        return _async_client(self._credentials or _session.find())

    @property
    def _sync(self) -> Client:
        return _client(self._credentials or _session.find())

    async def _send(self, call: Call[T]) -> T:
        return await self._async.send(call)

    def _send_sync(self, call: Call[T]) -> T:
        return self._sync.send(call)


def _queue_call(change: QueueChange) -> Call[QueueDetail]:
    where = queue_calls.address(change.queue)
    match change.verb:
        case "retrieve":
            return queue_calls.retrieve(where)
        case "pause" | "resume":
            return queue_calls.pause(where, paused=change.verb == "pause")
        case "override":
            return queue_calls.override(where, limit=change.limit, percent=change.percent)
        case "reset":
            return queue_calls.reset(where)


@cache
def _client(credentials: Credentials) -> Client:
    """One client per platform and key: connections are worth keeping, until the process ends.

    At its end the clients are forgotten before they are closed: who calls even later gets a new one.
    """
    client = Client(credentials.api_url, credentials.secret_key)
    atexit.register(client.close)
    atexit.register(_client.cache_clear)  # the last that is registered is called first
    return client


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Credentials, AsyncClient]] = (
    WeakKeyDictionary()
)
"""Connections belong to the event loop they were opened on."""


def _async_client(credentials: Credentials) -> AsyncClient:
    mine = _by_loop.setdefault(asyncio.get_running_loop(), {})
    if credentials not in mine:
        mine[credentials] = AsyncClient(credentials.api_url, credentials.secret_key)
    return mine[credentials]


def _trigger_call(item: Item[Any]) -> Call[Any]:
    wire = item.to_wire()
    request = TriggerTask(
        payload=wire["payload"], options=TriggerOptions.model_validate(wire["options"])
    )
    return replace(task_calls.trigger(item.task.id, request), headers=trace_headers())


def _batch_calls(items: Sequence[Item[Any]]) -> Iterator[Call[BatchTriggered]]:
    chunk: list[BatchItem] = []
    size = 0
    for item in items:
        if chunk and (len(chunk) == _BATCH_ITEMS or size + item.payload.size > _BATCH_BYTES):
            yield _batch_call(chunk)
            chunk, size = [], 0
        chunk.append(BatchItem.model_validate(item.to_wire()))
        size += item.payload.size
    if chunk:
        yield _batch_call(chunk)


def _batch_call(items: list[BatchItem]) -> Call[BatchTriggered]:
    return replace(task_calls.batch_trigger(TriggerBatch(items=items)), headers=trace_headers())


def _batch(answers: Sequence[BatchTriggered]) -> BatchHandle:
    ids = tuple(run.id for answer in answers for run in answer.runs)
    return BatchHandle(answers[0].id if answers else "", len(ids), ids)


def _token(created: TokenCreated) -> Token:
    return Token(created.id, created.url, created.public_access_token, created.is_cached)


def _plain(data: Any) -> Any:
    """Return data as JSON values; the platform makes a packet of them."""
    encoded = packet.encode(data, name="data")
    return packet.to_plain(encoded.data, encoded.type)


def _id(run: RunHandle[Any] | str) -> str:
    return run if isinstance(run, str) else run.id


def _run(run: RunHandle[R] | str, detail: RunDetail) -> Run[R]:
    output = detail.output
    if detail.is_success and not isinstance(run, str):
        output = run.read_output(output)
    return Run(detail, output)


def _with_output(detail: RunDetail, found: Packet) -> RunDetail:
    """Return a run with an output that was downloaded."""
    output = packet.to_plain(found.data, found.type)
    return detail.model_copy(update={"output": output, "output_presigned_url": None})


def _replay_call(run: RunHandle[Any] | str, *payload: Any) -> Call[ReplayedRun]:
    if not payload:
        return run_calls.replay(_id(run))
    encoded = Remote.encode_payload(payload[0])
    is_json = encoded.type == packet.JSON and encoded.data is not None
    value = json.loads(encoded.data or "") if is_json else encoded.data
    return run_calls.replay(_id(run), ReplayRun(payload=value, payload_type=encoded.type))


def _replayed(run: RunHandle[R] | str, run_id: str) -> RunHandle[R]:
    read = _as_it_is if isinstance(run, str) else run.read_output
    return RunHandle(run_id, is_cached=False, public_access_token=None, read_output=read)


def _as_it_is(value: Any) -> Any:
    return value


def _check_deadline(deadline: float, run_id: str, timeout: Duration) -> None:
    if time.monotonic() > deadline:
        raise PollTimeoutError(
            f"run {run_id} is not over after {timeout}",
            hint=f"ask what it waits for: trigger runs why {run_id}",
        )
