"""Reading and steering runs (protocol A.5-A.7), and following one as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.responses import StreamingResponse

from trigger_core import packet
from trigger_core.errors import UnprocessableError
from trigger_core.schemas.base import WireModel
from trigger_core.schemas.batches import RunResult
from trigger_core.schemas.metadata import MetadataUpdate, RunMetadata
from trigger_core.schemas.runs import (
    AddTags,
    CanceledRun,
    LogPage,
    ReplayedRun,
    ReplayRun,
    Reschedule,
    RunDetail,
    RunPage,
    RunWhy,
    SnapshotPage,
    TagsAdded,
)
from trigger_platform.engine import cancel, delayed, environment, metadata, replay, tags, why
from trigger_platform.engine.replay import Payload
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present, query, run_query
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.http.leave import Leave
from trigger_platform.http.parameter import integer, words
from trigger_platform.http.principal import forbidden
from trigger_platform.reads import runs as reads
from trigger_platform.store.rows import EnvironmentRow, ProjectRow

__all__ = [
    "add_tags",
    "cancel_run",
    "explain_run",
    "follow_run",
    "list_project_runs",
    "list_runs",
    "read_logs",
    "read_metadata",
    "read_result",
    "read_snapshots",
    "replay_run",
    "reschedule_run",
    "retrieve_run",
    "update_metadata",
]

_CURRENT_API = "2025-07-16"
_LOOK_AGAIN_S = 5.0
_AFTER = (integer("after", low=0, says="The id of the last line that is known."),)
_METADATA_LIMIT = 2 * 1024 * 1024


@endpoint("GET", "/api/v3/runs/{run_id}", access=Access.RUN_READER, returns=RunDetail)
async def retrieve_run(call: Incoming[None]) -> RunDetail:
    """Read one run. Clients that name no version of the API are told statuses as they were before (H.1)."""
    found = await call.server.read(reads.full, call.environment_id, call.path("run_id"))
    return present.detail(found, call.stored, is_legacy=_is_legacy(call))


@endpoint("GET", "/api/v1/runs/{run_id}/result", access=Access.RUN_READER, returns=RunResult)
async def read_result(call: Incoming[None]) -> RunResult:
    """Read how a run ended, as a packet; 404 while it goes on (protocol A.7)."""
    ended = await call.server.read(reads.result, call.environment_id, call.path("run_id"))
    return present.result(ended)


@endpoint("GET", "/api/v1/runs", access=Access.RUNS_READER, returns=RunPage, query=run_query.NAMES)
async def list_runs(call: Incoming[None]) -> RunPage:
    """List runs, newest first."""
    return present.run_page(
        await call.server.read(reads.page, call.environment_id, run_query.of_query(call)),
        call.principal.environment,
        is_legacy=_is_legacy(call),
    )


@endpoint(
    "GET",
    "/api/v1/projects/{project_ref}/runs",
    access=Access.PROJECT_VIEWER,
    returns=RunPage,
    query=(*run_query.NAMES, words("filter[env]", (*environment.TYPES, *environment.SLUGS))),
)
async def list_project_runs(call: Incoming[None]) -> RunPage:
    """List runs of the first environment of a project that ``filter[env]`` names."""
    wanted = [environment.SLUGS.get(one, one) for one in query.texts(call, "filter[env]")]
    if not set(wanted) & set(environment.TYPES):
        raise UnprocessableError(
            "Query Error: filter[env] must name an environment of the project",
            status=422,
            code="ENVIRONMENT_NOT_FOUND",
            hint="such as filter[env]=prod or filter[env]=dev,stg",
        )
    user_id = call.principal.user_id
    found = await call.server.units.read(_first_of, call.project, wanted, user_id)
    if found is None:
        return RunPage(data=[])
    page = await call.server.read(reads.page, found.id, run_query.of_query(call))
    return present.run_page(page, found, is_legacy=_is_legacy(call))


@endpoint("POST", "/api/v2/runs/{run_id}/cancel", access=Access.RUN_WRITER, returns=CanceledRun)
async def cancel_run(call: Incoming[None]) -> CanceledRun:
    """Cancel a run and its children; one that is over stays as it is."""
    run = await call.server.write(cancel.run, call.environment_id, call.path("run_id"))
    return CanceledRun(id=run.id)


@endpoint(
    "POST",
    "/api/v1/runs/{run_id}/replay",
    access=Access.RUN_WRITER,
    body=ReplayRun,
    returns=ReplayedRun,
    is_body_optional=True,
)
async def replay_run(call: Incoming[ReplayRun]) -> ReplayedRun:
    """Create a new run with the same task and options, and with the same payload unless one is sent."""
    asked = call.body
    payload = (
        Payload(asked.payload, asked.payload_type or packet.JSON)
        if "payload" in asked.model_fields_set
        else None
    )
    return await call.once(ReplayedRun, _replay, call.path("run_id"), payload)


@endpoint(
    "POST",
    "/api/v1/runs/{run_id}/reschedule",
    access=Access.RUN_EDITOR,
    body=Reschedule,
    returns=RunDetail,
)
async def reschedule_run(call: Incoming[Reschedule]) -> RunDetail:
    """Give a run that is still delayed another delay."""
    run_id = call.path("run_id")
    await call.server.write(delayed.reschedule, call.environment_id, run_id, call.body.delay)
    found = await call.server.read(reads.full, call.environment_id, run_id)
    return present.detail(found, call.stored, is_legacy=_is_legacy(call))


@endpoint(
    "POST",
    "/api/v1/runs/{run_id}/tags",
    access=Access.RUN_CHANGER,
    body=AddTags,
    returns=TagsAdded,
)
async def add_tags(call: Incoming[AddTags]) -> TagsAdded:
    """Add tags to a run, ten in all."""
    given = [call.body.tags] if isinstance(call.body.tags, str) else call.body.tags
    fresh = await call.server.write(tags.add, call.environment_id, call.path("run_id"), given)
    return TagsAdded(
        message=f"Successfully set {len(fresh)} new tags." if fresh else "No new tags to add"
    )


@endpoint("GET", "/api/v1/runs/{run_id}/metadata", access=Access.RUN_READER, returns=RunMetadata)
async def read_metadata(call: Incoming[None]) -> RunMetadata:
    """Read the metadata of a run."""
    found = await call.server.read(metadata.read, call.environment_id, call.path("run_id"))
    return RunMetadata(metadata=found)


@endpoint(
    "PUT",
    "/api/v1/runs/{run_id}/metadata",
    access=Access.RUN_CHANGER,
    body=MetadataUpdate,
    returns=RunMetadata,
    body_limit=_METADATA_LIMIT,
)
async def update_metadata(call: Incoming[MetadataUpdate]) -> RunMetadata:
    """Change the metadata of a run, and of its parent and root."""
    _may_change_relatives(call)
    after = await call.server.write(
        metadata.update, call.environment_id, call.path("run_id"), call.body, key=call.request_key()
    )
    return RunMetadata(metadata=after)


def _may_change_relatives(call: Incoming[MetadataUpdate]) -> None:
    """A run's token speaks for no other run.

    Raises:
        PermissionDeniedError: it is one, and the update is for the parent or the root too.
    """
    given = call.body.parent_operations or call.body.root_operations
    if given and call.principal.run_token is not None:
        raise forbidden()


@endpoint(
    "GET", "/api/v1/runs/{run_id}/logs", access=Access.RUN_READER, returns=LogPage, query=_AFTER
)
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


@endpoint("GET", "/api/v1/runs/{run_id}/why", access=Access.RUN_READER, returns=RunWhy)
async def explain_run(call: Incoming[None]) -> RunWhy:
    """Explain why a run is where it is."""
    return await call.server.read(why.explain, call.environment_id, call.path("run_id"))


@endpoint(
    "GET",
    "/api/v1/runs/{run_id}/follow",
    access=Access.RUN_READER,
    query=_AFTER,
    media="text/event-stream",
)
async def follow_run(call: Incoming[None]) -> StreamingResponse:
    """Follow a run: events ``log`` and ``run`` as they happen, until it is over."""
    run_id = call.path("run_id")
    await call.server.read(reads.one, call.environment_id, run_id)
    after = call.number("after", 0, low=0, high=2**62)
    stream = _follow(call, run_id, after)
    return StreamingResponse(stream, media_type="text/event-stream")


async def _follow(call: Incoming[None], run_id: str, after: int) -> AsyncIterator[str]:
    server, environment_id = call.server, call.environment_id
    seen, leave = (-1, -1), Leave.of(call)
    async with server.hub.subscribed(environment_id, run_id) as subscription:
        while await leave.holds():
            found = await server.read(reads.full, environment_id, run_id)
            rows = await server.read(reads.logs, environment_id, run_id, after)
            page = present.log_page(rows, after)
            after = page.next
            for record in page.data:
                yield _event("log", record)
            detail = present.detail(found, call.stored, is_legacy=_is_legacy(call))
            current = (found.run.sequence, found.run.metadata_version)
            if current != seen:
                seen = current
                yield _event("run", detail)
            if detail.is_completed:
                return
            await subscription.wait(min(_LOOK_AGAIN_S, leave.left_s))


def _event(name: str, model: WireModel) -> str:
    return f"event: {name}\ndata: {model.model_dump_json(by_alias=True, exclude_none=True)}\n\n"


def _is_legacy(call: Incoming[Any]) -> bool:
    return call.request.headers.get("x-trigger-api-version") != _CURRENT_API


def _first_of(
    u: Unit, named: ProjectRow, wanted: Sequence[str], user_id: str | None
) -> EnvironmentRow | None:
    """Return the first of the environments that there is; ``dev`` is the caller's own."""
    for word in wanted:
        if word == "dev":
            found = environment.find_developers(u, named, user_id) if user_id else None
        else:
            found = environment.find_shared(u, named, word) if word in environment.TYPES else None
        if found is not None:
            return found
    return None


def _replay(
    u: Unit, environment: EnvironmentRow, run_id: str, payload: Payload | None
) -> ReplayedRun:
    return ReplayedRun(id=replay.run(u, environment, run_id, payload).id)
