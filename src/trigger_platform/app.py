"""Putting a server together, and running it."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from trigger_core.clock import Clock
from trigger_core.errors import StoreError, TriggerError
from trigger_core.schemas.errors import ErrorBody
from trigger_platform.dashboard import pages
from trigger_platform.engine import heartbeat, project
from trigger_platform.engine.unit import Units
from trigger_platform.http import openapi, problems
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.http.guard import Guard
from trigger_platform.http.routes import (
    batches,
    dev,
    environments,
    idempotency,
    projects,
    queues,
    runs,
    schedules,
    tasks,
    waits,
    worker,
)
from trigger_platform.http.server import Server
from trigger_platform.loops.outbox import Outbox
from trigger_platform.loops.reconciler import Reconciler
from trigger_platform.loops.retention import Retention
from trigger_platform.loops.timers import Timers
from trigger_platform.realtime.hub import Hub
from trigger_platform.settings import Settings
from trigger_platform.store.database import Database
from trigger_platform.store.opening import open_database

__all__ = ["ENDPOINTS", "build", "open_server", "serve"]

# The routes of the hot path stand first: they are tried in order.
ENDPOINTS: tuple[Endpoint, ...] = (
    worker.poll_runs,
    worker.report_runs,
    tasks.trigger_task,
    batches.trigger_batch,
    batches.create_batch,
    batches.stream_items,
    runs.retrieve_run,
    runs.list_runs,
    runs.read_result,
    runs.read_logs,
    runs.read_snapshots,
    runs.explain_run,
    runs.follow_run,
    runs.cancel_run,
    runs.replay_run,
    runs.reschedule_run,
    runs.add_tags,
    runs.read_metadata,
    runs.update_metadata,
    idempotency.reset_key,
    batches.trigger_small_batch,
    batches.read_batch,
    batches.read_results,
    waits.create_token,
    waits.list_tokens,
    waits.read_token,
    waits.complete_token,
    waits.call_back,
    waits.wait_for_duration,
    waits.wait_for_token,
    queues.list_queues,
    queues.retrieve_queue,
    queues.pause_queue,
    queues.override_queue,
    queues.reset_queue,
    environments.pause_environment,
    environments.resume_environment,
    schedules.list_schedules,
    schedules.create_schedule,
    schedules.retrieve_schedule,
    schedules.update_schedule,
    schedules.delete_schedule,
    schedules.activate_schedule,
    schedules.deactivate_schedule,
    schedules.next_ticks,
    schedules.list_timezones,
    dev.dequeue_run,
    dev.start_attempt,
    dev.complete_attempt,
    dev.latest_snapshot,
    dev.heartbeat_run,
    dev.log_debug,
    dev.read_config,
    dev.keep_presence,
    dev.disconnect,
    worker.connect_worker,
    worker.register_worker,
    projects.public_claims,
    projects.whoami,
    projects.read_environment,
    projects.health,
    *pages.ENDPOINTS,
)

_STATIC = Path(__file__).parent / "dashboard" / "static"


async def open_server(
    settings: Settings, *, clock: Clock | None = None, db: Database | None = None
) -> Server:
    """Open the database and make sure that the project exists.

    Raises:
        StoreError: the database cannot be used; the subclass says why.
    """
    database = db or _open_database(settings)
    units = Units(database, clock or database.clock, random.Random())  # noqa: S311 - ids, no secrets
    local = await units.write(project.ensure, settings.project_ref)
    await units.write(heartbeat.grant_grace)
    hub = Hub()
    units.subscribe(hub.notice)
    server = Server(units, hub, local, settings=settings)
    units.subscribe(server.keys.notice)
    return server


def build(server: Server) -> Starlette:
    """Return the ASGI application with its loops."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        server.units.listen()
        running = (
            Timers(server.units),
            Outbox(server.units),
            Reconciler(server.units),
            Retention(server.units, server.settings.periods),
        )
        loops = [asyncio.create_task(loop.run()) for loop in running]
        try:
            yield
        finally:
            server.hub.close()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    endpoints = _served(server.settings)
    description = openapi.describe(endpoints)

    async def describe(_request: Request) -> Response:
        return JSONResponse(description)

    return Starlette(
        routes=[
            *(endpoint.route(server) for endpoint in endpoints),
            Route("/openapi.json", describe),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(Guard, hosts=server.settings.hosts)],
        exception_handlers={HTTPException: _no_route},
        lifespan=lifespan,
    )


async def serve(
    settings: Settings, *, announce: Callable[[Server], None], until: asyncio.Event
) -> None:
    """Serve until told to stop; ``announce`` is called once requests are answered.

    Raises:
        TriggerError: the port is taken, or the database cannot be used.
    """
    listener = _listen(settings)
    server = await open_server(settings)
    server.url = settings.public_url or _url(settings.host, listener.getsockname()[1])
    config = uvicorn.Config(
        build(server),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        timeout_graceful_shutdown=2,
    )
    instance = _Uvicorn(config)
    serving = asyncio.create_task(instance.serve(sockets=[listener]))
    await instance.up.wait()
    announce(server)
    await until.wait()
    server.hub.close()
    instance.should_exit = True
    await serving
    server.units.db.close()


class _Uvicorn(uvicorn.Server):
    """Leaves signals to this program, and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield


def _open_database(settings: Settings) -> Database:
    if settings.database is not None:
        return open_database(settings.database, durable=settings.durable)
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


def _served(settings: Settings) -> tuple[Endpoint, ...]:
    """Return the routes; those without a login are for this machine alone."""
    if not settings.is_public:
        return ENDPOINTS
    return tuple(one for one in ENDPOINTS if one.access is not Access.LOCAL)


def _listen(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(
            place[:2],
            family=family,
            backlog=1024,
            dualstack_ipv6=place[0] == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise _cannot_listen(settings, error) from error
    listener.setblocking(False)
    return listener


def _cannot_listen(settings: Settings, error: OSError) -> TriggerError:
    if error.errno == errno.EADDRINUSE:
        return TriggerError(
            f"port {settings.port} is taken",
            code="PORT_IN_USE",
            because=error.strerror,
            hint="end the program that uses it, or let `--port 0` pick a free one",
        )
    return TriggerError(
        f"this machine cannot listen on {settings.host} port {settings.port}",
        code="ADDRESS_UNUSABLE",
        because=error.strerror,
        hint="listen on 127.0.0.1, on 0.0.0.0, or on another address of this machine",
    )


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = "Method not allowed" if error.status_code == 405 else "Not found"
    code = text.upper().replace(" ", "_")
    body = ErrorBody(error=text, code=code, because=f"{request.method} {request.url.path}")
    return problems.answer(error.status_code, body, dict(error.headers or {}))
