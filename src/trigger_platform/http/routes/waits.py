"""Waitpoint tokens, and waits of a run over HTTP (protocol A.13, A.16)."""

from __future__ import annotations

import json
from typing import Any, get_args

from starlette.requests import Request

from trigger_core import clock, duration, packet
from trigger_core.errors import (
    ApiError,
    InvalidDurationError,
    NotFoundError,
    RunNotFoundError,
    UnprocessableError,
)
from trigger_core.schemas.runs import Page
from trigger_core.schemas.streams import AwaitInput, InputAwaited
from trigger_core.schemas.tokens import (
    CompleteToken,
    CreateToken,
    Done,
    TokenCreated,
    TokenDetail,
    TokenPage,
    TokenStatus,
    WaitFor,
    WaitForStarted,
    WaitpointId,
)
from trigger_platform.engine import environment, idempotency, stream, token, wait
from trigger_platform.engine.token import Made
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present, public_token, query
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.http.parameter import texts, words
from trigger_platform.reads import tokens as reads
from trigger_platform.store.rows import EnvironmentRow, RunRow, WaitpointRow

__all__ = [
    "await_input",
    "call_back",
    "complete_token",
    "create_token",
    "list_tokens",
    "read_token",
    "wait_for_duration",
    "wait_for_token",
]

_LIMIT = 10 * 1024
_MAX_TAGS = 10


@endpoint(
    "POST",
    "/api/v1/waitpoints/tokens",
    access=Access.WAITPOINT_WRITER,
    body=CreateToken,
    returns=TokenCreated,
    body_limit=_LIMIT,
    is_body_optional=True,
)
async def create_token(call: Incoming[CreateToken]) -> Reply:
    """Create a token that somebody completes later, or find the one a key made."""

    def work(u: Unit, environment: EnvironmentRow) -> TokenCreated:
        made = _create(u, environment, call.body)
        url = _url(call, made.token.id)
        return TokenCreated(id=made.token.id, is_cached=made.is_cached, url=url)

    created = await call.once(TokenCreated, work)
    environment, units = call.principal.environment, call.server.units
    headers = public_token.headers_for_token(units.keys, environment, created.id, units.clock.now())
    return Reply(created, headers)


@endpoint(
    "GET",
    "/api/v1/waitpoints/tokens",
    access=Access.WAITPOINT_READER,
    returns=TokenPage,
    query=(
        *query.CURSOR,
        words("filter[status]", get_args(TokenStatus)),
        texts("filter[tags]"),
        "filter[idempotencyKey]",
        *query.CREATED,
    ),
)
async def list_tokens(call: Incoming[None]) -> TokenPage:
    """List tokens, newest first."""
    filters = reads.Filters(
        statuses=query.words(call, "filter[status]", get_args(TokenStatus)),
        tags=query.texts(call, "filter[tags]"),
        key=call.query("filter[idempotencyKey]"),
        created_from=query.since(call, "filter[createdAt][period]", "filter[createdAt][from]"),
        created_to=query.moment(call, "filter[createdAt][to]"),
        size=call.number("page[size]", 25, low=1, high=100),
        after=call.query("page[after]"),
        before=call.query("page[before]"),
    )
    page = await call.server.read(reads.page, call.environment_id, filters)
    return TokenPage(
        data=[present.token(one, _url(call, one.id)) for one in page.tokens],
        pagination=Page(next=page.next, previous=page.previous),
    )


@endpoint(
    "GET",
    "/api/v1/waitpoints/tokens/{token_id}",
    access=Access.WAITPOINT_READER,
    returns=TokenDetail,
)
async def read_token(call: Incoming[None]) -> TokenDetail:
    """Read one token."""
    found = await call.server.read(token.find, call.environment_id, call.path("token_id"))
    return present.token(found, _url(call, found.id))


@endpoint(
    "POST",
    "/api/v1/waitpoints/tokens/{token_id}/complete",
    access=Access.WAITPOINT_COMPLETER,
    body=CompleteToken,
    returns=Done,
    is_body_optional=True,
)
async def complete_token(call: Incoming[CompleteToken]) -> Done:
    """Complete a token; runs that wait for it go on with the data."""
    await _complete(call, call.environment_id, call.body.data)
    return Done()


@endpoint(
    "POST",
    "/api/v1/waitpoints/tokens/{token_id}/callback/{hash}",
    access=Access.OPEN,
    returns=Done,
)
async def call_back(call: Incoming[None]) -> Done:
    """Complete a token from elsewhere: the address is the secret, the whole body the data."""
    if "content-length" not in call.request.headers:
        raise ApiError("Content-Length is required", status=411)
    body = await call.body_bytes()
    signers = await call.server.units.read(_signers_of, call.path("token_id"))
    token.verify(call.server.units.keys, signers, call.path("token_id"), call.path("hash"))
    await _complete(call, signers[0].id, _json_or_empty(body))
    return Done()


@endpoint(
    "POST",
    "/engine/v1/runs/{run_id}/wait/duration",
    access=Access.RUN_WAITER,
    body=WaitFor,
    returns=WaitForStarted,
)
async def wait_for_duration(call: Incoming[WaitFor]) -> WaitForStarted:
    """Let an executing run wait until a moment."""
    until = _moment(call.body.date, call.server.units.clock.now())
    reference = call.body.idempotency_key or f"duration-{until}"
    started = await call.server.write(
        _wait_until, call.environment_id, call.path("run_id"), reference, until
    )
    return WaitForStarted(wait_until=clock.to_iso(until), waitpoint=WaitpointId(id=started))


@endpoint(
    "POST",
    "/engine/v1/runs/{run_id}/waitpoints/tokens/{token_id}/wait",
    access=Access.RUN_WAITER,
    returns=Done,
)
async def wait_for_token(call: Incoming[None]) -> Done:
    """Let an executing run wait for a token."""
    await call.server.write(
        _wait_for_token, call.environment_id, call.path("run_id"), call.path("token_id")
    )
    return Done()


@endpoint(
    "POST",
    "/api/v1/runs/{run_id}/input-streams/wait",
    access=Access.RUN_WAITER,
    body=AwaitInput,
    returns=InputAwaited,
    body_limit=_LIMIT,
)
async def await_input(call: Incoming[AwaitInput]) -> InputAwaited:
    """Create a token that the next value of a run's input stream completes (protocol C.4)."""
    body = call.body

    def work(u: Unit, environment: EnvironmentRow) -> InputAwaited:
        made = _create(u, environment, body)
        if not made.is_cached:
            after = -1 if body.last_seq_num is None else body.last_seq_num
            stream.await_input(
                u,
                environment,
                call.path("run_id"),
                body.stream_id,
                after=after,
                token_id=made.token.id,
            )
        return InputAwaited(waitpoint_id=made.token.id, is_cached=made.is_cached)

    return await call.server.write(work, call.environment_id)


async def _complete(call: Incoming[Any], environment_id: str, data: object) -> None:
    encoded = packet.encode(data, name="data")
    await call.server.write(
        token.complete, environment_id, call.path("token_id"), encoded.data, encoded.type
    )


def _create(u: Unit, environment: EnvironmentRow, request: CreateToken) -> Made:
    tags = [request.tags] if isinstance(request.tags, str) else request.tags or []
    if len(tags) > _MAX_TAGS:
        raise UnprocessableError(
            f"a token has at most {_MAX_TAGS} tags", status=422, code="TOO_MANY_TAGS"
        )
    key = request.idempotency_key
    return token.create(
        u,
        environment,
        timeout_at=_timeout(request.timeout, u.now),
        tags=tags,
        key=key,
        key_expires_at=idempotency.expiry(u.now, request.idempotency_key_ttl) if key else None,
    )


def _timeout(given: str | None, now: int) -> int | None:
    """Return the moment of a timeout; what cannot be read is refused, the original ignores it."""
    return None if given is None else duration.resolve_delay(given, now)


def _signers_of(u: Unit, token_id: str) -> list[EnvironmentRow]:
    found = u.tx.maybe("waitpoint_any", WaitpointRow, id=token_id)
    signers = environment.signers(u, found.environment_id) if found else []
    if found is None or found.type != "MANUAL" or not signers:
        raise NotFoundError(f"there is no token {token_id}", status=404, code="WAITPOINT_NOT_FOUND")
    return signers


def _wait_until(
    u: Unit, environment: EnvironmentRow, run_id: str, reference: str, until: int
) -> str:
    started = wait.until(u, _run(u, environment, run_id), reference, until)
    return started.awaited[0].waitpoint_id


def _wait_for_token(u: Unit, environment: EnvironmentRow, run_id: str, token_id: str) -> None:
    wait.for_token(u, _run(u, environment, run_id), token_id, token_id)


def _run(u: Unit, environment: EnvironmentRow, run_id: str) -> RunRow:
    found = u.tx.maybe("run_by_id_locked", RunRow, id=run_id, environment_id=environment.id)
    if found is None:
        raise RunNotFoundError(run_id)
    return found


def _moment(text: str, now: int) -> int:
    try:
        return duration.resolve_delay(text, now)
    except InvalidDurationError as error:
        raise UnprocessableError(
            f"{text!r} is no moment", status=422, code="INVALID_DURATION"
        ) from error


def _json_or_empty(body: bytes) -> object:
    try:
        data: object = json.loads(body)
    except ValueError:
        return {}
    return data


def _url(call: Incoming[Any], token_id: str) -> str:
    """Return the address that completes a token without a key."""
    request: Request = call.request
    keys, environment = call.server.units.keys, call.principal.environment
    secret = token.callback_hash(keys, environment, token_id)
    path = f"/api/v1/waitpoints/tokens/{token_id}/callback/{secret}"
    return (call.server.url or str(request.base_url).rstrip("/")) + path
