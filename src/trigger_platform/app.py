"""Putting a server together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from trigger_core.clock import Clock
from trigger_core.errors import StoreError
from trigger_core.schemas.errors import ErrorBody
from trigger_platform import key_file
from trigger_platform.blobs.opening import open_blobs
from trigger_platform.dashboard import (
    join_pages,
    key_pages,
    login_pages,
    member_pages,
    openid_pages,
    pages,
    problem_page,
    token_pages,
    variable_pages,
)
from trigger_platform.engine import heartbeat, project, secret_key
from trigger_platform.engine.unit import Units
from trigger_platform.http import openapi, problems
from trigger_platform.http.cors import Origins
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.http.envelope import Envelope
from trigger_platform.http.guard import Guard
from trigger_platform.http.routes import (
    access_tokens,
    account,
    batches,
    branches,
    bulk_actions,
    deployments,
    dev,
    environments,
    envvars,
    health,
    idempotency,
    login,
    organizations,
    otlp,
    packets,
    projects,
    public_tokens,
    queues,
    realtime,
    runs,
    schedules,
    streams,
    supervisors,
    tasks,
    traces,
    waits,
    worker,
    worker_groups,
)
from trigger_platform.http.server import Server
from trigger_platform.http.sockets import Sockets
from trigger_platform.key_ring import KeyRing
from trigger_platform.loops.outbox import Outbox
from trigger_platform.loops.reconciler import Reconciler
from trigger_platform.loops.retention import Retention
from trigger_platform.loops.timers import Timers
from trigger_platform.openid import OpenIdProvider
from trigger_platform.realtime.feeds import Feeds
from trigger_platform.realtime.hub import Hub
from trigger_platform.settings import Settings
from trigger_platform.store.database import Database
from trigger_platform.store.opening import open_database

__all__ = ["ENDPOINTS", "build", "open_server"]

# The routes of the hot path stand first: they are tried in order. A name in a path may contain slashes, so
# what a path goes on with stands before what it may end with.
ENDPOINTS: tuple[Endpoint, ...] = (
    worker.poll_runs,
    worker.report_runs,
    tasks.trigger_task,
    batches.trigger_batch,
    batches.create_batch,
    batches.stream_items,
    runs.retrieve_run,
    runs.list_runs,
    runs.list_project_runs,
    runs.read_result,
    runs.read_logs,
    runs.read_snapshots,
    traces.read_trace,
    traces.read_events,
    traces.read_span,
    traces.read_data_points,
    runs.explain_run,
    runs.follow_run,
    realtime.follow_one,
    realtime.follow_tags,
    realtime.follow_batch,
    streams.declare_stream,
    streams.send_input,
    streams.write_stream,
    streams.append_part,
    streams.last_chunk,
    streams.read_input,
    streams.read_stream,
    streams.read_target,
    runs.cancel_run,
    runs.replay_run,
    runs.reschedule_run,
    runs.add_tags,
    runs.read_metadata,
    runs.update_metadata,
    bulk_actions.create_bulk_action,
    bulk_actions.list_bulk_actions,
    bulk_actions.read_bulk_action,
    bulk_actions.abort_bulk_action,
    idempotency.reset_key,
    batches.trigger_small_batch,
    batches.read_batch,
    batches.read_batch_v1,
    batches.trigger_task_batch,
    batches.read_results,
    waits.create_token,
    waits.list_tokens,
    waits.read_token,
    waits.complete_token,
    waits.call_back,
    waits.wait_for_duration,
    waits.wait_for_token,
    packets.create_packet,
    packets.create_named_packet,
    packets.find_packet,
    packets.find_packet_of_run,
    packets.find_packet_v2,
    packets.upload,
    packets.download,
    waits.await_input,
    queues.list_queues,
    queues.list_keys,
    queues.retrieve_queue,
    queues.pause_queue,
    queues.override_queue,
    queues.reset_queue,
    environments.pause_environment,
    environments.resume_environment,
    environments.regenerate_key,
    schedules.list_schedules,
    schedules.create_schedule,
    schedules.next_ticks,
    schedules.retrieve_schedule,
    schedules.update_schedule,
    schedules.delete_schedule,
    schedules.activate_schedule,
    schedules.deactivate_schedule,
    schedules.list_timezones,
    dev.dequeue_run,
    dev.start_attempt,
    dev.complete_attempt,
    dev.latest_snapshot,
    dev.later_snapshots,
    dev.heartbeat_run,
    dev.log_debug,
    dev.read_config,
    dev.keep_presence,
    dev.read_status,
    dev.disconnect,
    deployments.list_deployments,
    deployments.current_deployment,
    deployments.latest_deployment,
    deployments.read_deployment,
    deployments.initialize_deployment,
    deployments.index_deployment,
    deployments.deployment_progress,
    deployments.cancel_deployment,
    deployments.fail_deployment,
    deployments.finalize_deployment,
    deployments.finalize_deployment_v2,
    deployments.finalize_deployment_v1,
    deployments.registry_credentials,
    deployments.build_provider,
    deployments.promote_deployment,
    deployments.read_worker,
    otlp.export_traces,
    otlp.export_logs,
    otlp.export_metrics,
    otlp.export_proven_traces,
    otlp.export_proven_logs,
    otlp.export_proven_metrics,
    supervisors.dequeue_runs,
    supervisors.start_managed_attempt,
    supervisors.complete_managed_attempt,
    supervisors.heartbeat_managed_run,
    supervisors.snapshots_since,
    supervisors.latest_managed_snapshot,
    supervisors.suspend_run,
    supervisors.continue_run,
    supervisors.debug_managed_run,
    supervisors.connect_supervisor,
    supervisors.heartbeat_supervisor,
    supervisors.dequeue_nothing,
    worker.connect_worker,
    worker.register_worker,
    account.public_claims,
    account.whoami,
    account.platform_notifications,
    access_tokens.list_access_tokens,
    access_tokens.create_access_token,
    access_tokens.revoke_access_token,
    access_tokens.list_organization_tokens,
    access_tokens.create_organization_token,
    access_tokens.revoke_organization_token,
    access_tokens.list_environment_keys,
    access_tokens.create_environment_key,
    access_tokens.revoke_environment_key,
    organizations.list_organizations,
    organizations.create_organization,
    organizations.list_organizations_projects,
    organizations.create_project,
    organizations.list_members,
    organizations.add_member,
    organizations.set_role,
    organizations.remove_member,
    worker_groups.list_worker_groups,
    worker_groups.create_worker_group,
    worker_groups.rotate_worker_token,
    worker_groups.delete_worker_group,
    public_tokens.mint_public_token,
    public_tokens.mint_token,
    public_tokens.mint_as_user,
    public_tokens.revoke_public_token,
    public_tokens.revoke_public_tokens,
    public_tokens.revoke_as_user,
    branches.list_branches,
    branches.upsert_branch,
    branches.archive_branch,
    projects.list_projects,
    projects.list_runtimes,
    projects.retrieve_project,
    projects.rename_project,
    projects.delete_project,
    projects.initialize_project,
    projects.list_environments,
    envvars.resolve_variables,
    envvars.list_variables,
    envvars.create_variable,
    envvars.import_variables,
    envvars.retrieve_variable,
    envvars.update_variable,
    envvars.replace_variable,
    envvars.delete_variable,
    projects.read_environment,
    health.alive,
    health.ready,
    health.read_metrics,
    login.ask_for_token,
    login.fetch_token,
    *login_pages.ENDPOINTS,
    *join_pages.ENDPOINTS,
    *openid_pages.ENDPOINTS,
    *variable_pages.ENDPOINTS,
    *key_pages.ENDPOINTS,
    *member_pages.ENDPOINTS,
    *token_pages.ENDPOINTS,
    *pages.ENDPOINTS,
)

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_STATIC = Path(__file__).parent / "dashboard" / "static"


async def open_server(
    settings: Settings, *, clock: Clock | None = None, db: Database | None = None
) -> Server:
    """Open the database and make sure that the project exists.

    Raises:
        StoreError: the database cannot be used; the subclass says why.
        EncryptionError: there is no key for its secrets, or it is not the right one.
    """
    database = db or _open_database(settings)
    rng = random.SystemRandom()  # whoever knows many ids must not be able to tell the next one
    units = Units(database, clock or database.clock, rng)
    try:
        units.keys = await _key_ring(settings, units)
        await units.write(secret_key.seal_plain_ones)
        local = await units.write(project.ensure, settings.project_ref)
        secret_key.read(units.keys, local.environment)  # the key is the right one, or say so now
        await units.write(heartbeat.grant_grace)
    except BaseException:
        database.close()
        raise
    hub = Hub()
    units.subscribe(hub.notice)
    blobs = open_blobs(settings, units.clock.now)
    server = Server(units, hub, local, Feeds(units), settings=settings, blobs=blobs)
    if settings.login and (settings.oidc_issuer or settings.oidc_client_id):
        server.provider = OpenIdProvider(settings, units.clock)
    units.subscribe(server.keys.notice)
    return server


def build(server: Server) -> Starlette:
    """Return the ASGI application with its loops."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        server.units.listen()
        server.loops = {
            "timers": Timers(server.units),
            "outbox": Outbox(server.units),
            "feeds": server.feeds,
            "reconciler": Reconciler(server.units),
            "retention": Retention(
                server.units, server.settings.periods, server.blobs, server.settings.blob_limit
            ),
        }
        loops = [asyncio.create_task(loop.run()) for loop in server.loops.values()]
        try:
            yield
        finally:
            server.close()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            if server.provider is not None:
                await server.provider.close()

    origins = Origins(server.settings.allowed_origins)
    description = cache(lambda: openapi.describe(ENDPOINTS))  # it takes as long as a start

    async def describe(_request: Request) -> Response:
        return JSONResponse(description())

    return Starlette(
        routes=[
            *(endpoint.route(server, origins, problem_page.readable) for endpoint in ENDPOINTS),
            *_preflights(ENDPOINTS, origins),
            Route("/openapi.json", describe),
            Mount("/static", StaticFiles(directory=_STATIC)),
            Mount("/socket.io", Sockets(server)),
        ],
        middleware=[
            Middleware(
                Envelope,
                is_encrypted=(server.settings.public_url or "").startswith("https://"),
                logs_all=server.settings.log_requests,
            ),
            Middleware(Guard, hosts=server.settings.hosts),
        ],
        exception_handlers={HTTPException: partial(_no_route, origins)},
        lifespan=lifespan,
    )


def _preflights(endpoints: Iterable[Endpoint], origins: Origins) -> Iterator[Route]:
    """Yield what tells browsers that pages of other origins may call a route."""
    methods: dict[str, set[str]] = {}
    for one in endpoints:
        if one.is_for_pages:
            methods.setdefault(one.path, set()).add(one.method)
    for path, allowed in methods.items():
        yield Route(path, origins.preflight(allowed), methods=["OPTIONS"])


def _open_database(settings: Settings) -> Database:
    if settings.database is not None:
        return open_database(settings.database, durable=settings.durable, migrates=settings.migrate)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder {settings.data_dir} cannot be created",
            code="FOLDER_NOT_WRITABLE",
            because=str(error),
            hint="make the folder writable, or run elsewhere",
        ) from error
    return open_database(settings.data_dir / "trigger.db", durable=settings.durable)


async def _key_ring(settings: Settings, units: Units) -> KeyRing:
    """Return the keys of this database; a file of them is made for a database that has no secrets yet."""
    found = key_file.source(settings)
    if isinstance(found, KeyRing):
        return found
    if not found.exists() and not await units.read(secret_key.any_sealed):
        found.create()
    return found.ring()


async def _no_route(origins: Origins, request: Request, error: Exception) -> Response:
    """Answer what nobody else does; a page may know that there is nothing, and looks elsewhere then."""
    assert isinstance(error, HTTPException)
    origin = request.headers.get("origin")
    is_nowhere = error.status_code == 404
    if is_nowhere and request.method == "OPTIONS" and origin is not None:
        return origins.preflight(_METHODS)(request)
    text = "Method not allowed" if error.status_code == 405 else "Not found"
    code = text.upper().replace(" ", "_")
    body = ErrorBody(error=text, code=code, because=f"{request.method} {request.url.path}")
    headers = dict(error.headers or {})
    if is_nowhere and origin is not None:
        headers |= origins.answer(origin)
    return problem_page.readable(request, problems.answer(error.status_code, body, headers))
