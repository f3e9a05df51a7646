"""Reading and steering runs (protocol A.5-A.7), and following one as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.batches import RunResult
from trigger_core.schemas.runs import (
    CanceledRun,
    LogPage,
    ReplayedRun,
    RunDetail,
    RunPage,
    RunWhy,
    SnapshotPage,
)
from trigger_platform.engine import cancel, replay, why
from trigger_platform.http import present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.http.server import Server
from trigger_platform.reads import runs as reads
from trigger_platform.reads.runs import Filters

__all__ = [
    "cancel_run",
    "explain_run",
    "follow_run",
    "list_runs",
    "read_logs",
    "read_result",
    "read_snapshots",
    "replay_run",
    "retrieve_run",
]

_LOOK_AGAIN_S = 5.0


@endpoint("GET", "/api/v3/runs/{run_id}", access=Access.RUN_READER, returns=RunDetail)
async def retrieve_run(call: Incoming[None]) -> RunDetail:
    """Read one run. Statuses are of the current vocabulary, whatever version header is sent (H.1)."""
    found = await call.server.read(reads.full, call.environment_id, call.path("run_id"))
    return present.detail(found)


@endpoint("GET", "/api/v1/runs/{run_id}/result", access=Access.RUN_READER, returns=RunResult)
async def read_result(call: Incoming[None]) -> RunResult:
    """Read how a run ended, as a packet; 404 while it goes on (protocol A.7)."""
    ended = await call.server.read(reads.result, call.environment_id, call.path("run_id"))
    return present.result(ended)


@endpoint("GET", "/api/v1/runs", access=Access.ENVIRONMENT, returns=RunPage)
async def list_runs(call: Incoming[None]) -> RunPage:
    """List runs, newest first."""
    filters = Filters(
        statuses=present.internal_statuses(_texts(call, "filter[status]")),
        tasks=_texts(call, "filter[taskIdentifier]"),
        versions=_texts(call, "filter[version]"),
        tag=call.query("filter[tag]"),
        size=call.number("page[size]", 25, low=1, high=100),
        after=call.query("page[after]"),
        before=call.query("page[before]"),
    )
    return present.run_page(await call.server.read(reads.page, call.environment_id, filters))


@endpoint("POST", "/api/v2/runs/{run_id}/cancel", access=Access.ENVIRONMENT, returns=CanceledRun)
async def cancel_run(call: Incoming[None]) -> CanceledRun:
    """Cancel a run and its children; one that is over stays as it is."""
    run = await call.server.write(cancel.run, call.environment_id, call.path("run_id"))
    return CanceledRun(id=run.id)


@endpoint("POST", "/api/v1/runs/{run_id}/replay", access=Access.ENVIRONMENT, returns=ReplayedRun)
async def replay_run(call: Incoming[None]) -> ReplayedRun:
    """Create a new run with the same task, payload and options."""
    created = await call.server.write(replay.run, call.environment_id, call.path("run_id"))
    return ReplayedRun(id=created.id)


@endpoint("GET", "/api/v1/runs/{run_id}/logs", access=Access.RUN_READER, returns=LogPage)
async def read_logs(call: Incoming[None]) -> LogPage:
    """Read lines a run wrote, after a line."""
    after = call.number("after", 0, low=0, high=2**62)
    rows = await call.server.read(reads.logs, call.environment_id, call.path("run_id"), after)
    return present.log_page(rows, after)


@endpoint("GET", "/api/v1/runs/{run_id}/snapshots", access=Access.RUN_READER, returns=SnapshotPage)
async def read_snapshots(call: Incoming[None]) -> SnapshotPage:
    """Read every step of a run."""
    run_id = call.path("run_id")
    return present.snapshot_page(
        run_id, await call.server.read(reads.snapshots, call.environment_id, run_id)
    )


@endpoint("GET", "/api/v1/runs/{run_id}/why", access=Access.ENVIRONMENT, returns=RunWhy)
async def explain_run(call: Incoming[None]) -> RunWhy:
    """Explain why a run is where it is."""
    return await call.server.read(why.explain, call.environment_id, call.path("run_id"))


@endpoint("GET", "/api/v1/runs/{run_id}/follow", access=Access.RUN_READER)
async def follow_run(call: Incoming[None]) -> StreamingResponse:
    """Follow a run: events ``log`` and ``run`` as they happen, until it is over."""
    run_id = call.path("run_id")
    await call.server.read(reads.one, call.environment_id, run_id)
    after = call.number("after", 0, low=0, high=2**62)
    stream = _follow(call.server, call.environment_id, run_id, after)
    return StreamingResponse(stream, media_type="text/event-stream")


async def _follow(
    server: Server, environment_id: str, run_id: str, after: int
) -> AsyncIterator[str]:
    sequence = -1
    async with server.hub.subscribed(environment_id, run_id) as subscription:
        while not server.hub.closed.is_set():
            found = await server.read(reads.full, environment_id, run_id)
            rows = await server.read(reads.logs, environment_id, run_id, after)
            page = present.log_page(rows, after)
            after = page.next
            for record in page.data:
                yield _event("log", record)
            detail = present.detail(found)
            if found.run.sequence != sequence:
                sequence = found.run.sequence
                yield _event("run", detail)
            if detail.is_completed:
                return
            await subscription.wait(_LOOK_AGAIN_S)


def _event(name: str, model: WireModel) -> str:
    return f"event: {name}\ndata: {model.model_dump_json(by_alias=True, exclude_none=True)}\n\n"


def _texts(call: Incoming[None], name: str) -> list[str]:
    return [text for text in call.query(name).split(",") if text]
