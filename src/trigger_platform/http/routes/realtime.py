"""Following runs by the Electric protocol (protocol C.1): one run, runs with tags, the runs of a batch."""

from __future__ import annotations

import secrets
from typing import Final

from starlette.responses import Response

from trigger_core import duration
from trigger_core.errors import InvalidDurationError, UsageError
from trigger_platform.engine import batch
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.reads import runs as reads
from trigger_platform.realtime import shape as texts
from trigger_platform.realtime.feed import Offset, Shape
from trigger_platform.realtime.feeds import Answer
from trigger_platform.realtime.shape import View

__all__ = ["follow_batch", "follow_one", "follow_tags"]

_HOLD_S: Final = 20.0
_DAY_MS: Final = 86_400_000
_CURRENT_API: Final = "2025-07-16"


_SHAPE = ("offset", "handle", "live", "cursor", "skipColumns")


@endpoint("GET", "/realtime/v1/runs/{run_id}", access=Access.RUN_READER, query=_SHAPE)
async def follow_one(call: Incoming[None]) -> Response:
    """Follow one run."""
    run_id = call.path("run_id")
    if _is_first(call):
        await call.server.read(reads.one, call.environment_id, run_id)
    return await _follow(call, Shape(call.environment_id, "run", (run_id,)))


@endpoint(
    "GET", "/realtime/v1/runs", access=Access.TAG_READER, query=(*_SHAPE, "tags", "createdAt")
)
async def follow_tags(call: Incoming[None]) -> Response:
    """Follow the runs that have all of some tags and were created within a day, or a shorter time."""
    tags = tuple(dict.fromkeys(tag for tag in call.query("tags").split(",") if tag))
    if not tags:
        raise UsageError("Query Error: tags must name a tag", code="INVALID_QUERY")
    since = call.server.units.clock.now() - _lookback_ms(call.query("createdAt", "24h"))
    return await _follow(call, Shape(call.environment_id, "tags", tags, since))


@endpoint("GET", "/realtime/v1/batches/{batch_id}", access=Access.BATCH_READER, query=_SHAPE)
async def follow_batch(call: Incoming[None]) -> Response:
    """Follow the runs of a batch."""
    batch_id = call.path("batch_id")
    if _is_first(call):
        await call.server.read(batch.find, call.environment_id, batch_id)
    return await _follow(call, Shape(call.environment_id, "batch", (batch_id,)))


async def _follow(call: Incoming[None], shape: Shape) -> Response:
    view = _view(call)
    feeds = call.server.feeds
    if _is_first(call):
        return _answer(call, view, await feeds.begin(shape, view))
    offset = Offset.parse(call.query("offset"))
    if offset is None:
        raise UsageError("Query Error: offset must be one that was given", code="INVALID_QUERY")
    answer = await feeds.go_on(shape, view, _handle(call), offset, _hold_s(call))
    if answer is None:
        return Response(
            texts.must_refetch(),
            status_code=409,
            headers=_headers(call, f"again-{secrets.token_hex(8)}", "-1"),
            media_type="application/json",
        )
    return _answer(call, view, answer)


def _hold_s(call: Incoming[None]) -> float:
    """Hold a request for as long as its token is good, so that the next one says that it is not any more."""
    if call.query("live") != "true":
        return 0.0
    public = call.principal.public
    if public is None:
        return _HOLD_S
    return min(_HOLD_S, (public.expires_at - call.server.units.clock.now()) / 1000)


def _is_first(call: Incoming[None]) -> bool:
    return call.query("offset", "-1") == "-1" or not _handle(call)


def _handle(call: Incoming[None]) -> str:
    return call.query("handle") or call.query("shape_id")


def _view(call: Incoming[None]) -> View:
    """A token's own list of columns wins over the one that is asked for."""
    public = call.principal.public
    asked = (name for name in call.query("skipColumns").split(",") if name)
    skipped = (public.skip_columns if public else ()) or asked
    current = call.request.headers.get("x-trigger-api-version") == _CURRENT_API
    return View.of(skipped, is_legacy=not current)


def _lookback_ms(text: str) -> int:
    try:
        return min(duration.parse_ms(text), _DAY_MS)
    except InvalidDurationError as error:
        raise UsageError(
            f"Query Error: createdAt must be a duration such as 2h, not {text!r}",
            code="INVALID_QUERY",
        ) from error


def _answer(call: Incoming[None], view: View, answer: Answer) -> Response:
    headers = _headers(call, answer.handle, answer.offset)
    if call.query("live") == "true":
        headers["electric-cursor"] = secrets.token_hex(4)
    else:
        headers["electric-schema"] = texts.schema(view)
    if answer.is_up_to_date:
        headers["electric-up-to-date"] = ""
    content = texts.body(answer.told, view, is_up_to_date=answer.is_up_to_date)
    return Response(content, headers=headers, media_type="application/json")


def _headers(call: Incoming[None], handle: str, offset: str) -> dict[str, str]:
    """Clients from before the protocol had its present names send no version of it."""
    is_legacy = "x-trigger-electric-version" not in call.request.headers
    headers = {
        "electric-handle": handle,
        "electric-offset": offset,
        "cache-control": "no-store",
    }
    if is_legacy:
        headers |= {"electric-shape-id": handle, "electric-chunk-last-offset": offset}
    return headers
