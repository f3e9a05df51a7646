"""Putting a supervisor together, and running it in the foreground until a signal ends it."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn

from trigger_core.clock import SystemClock
from trigger_core.errors import TriggerError
from trigger_supervisor import workload_server, workload_token
from trigger_supervisor.bundles import Bundles
from trigger_supervisor.capacity import Capacity
from trigger_supervisor.crew import Crew
from trigger_supervisor.held_attempts import HeldAttempts
from trigger_supervisor.notices import Notices
from trigger_supervisor.order import Surroundings
from trigger_supervisor.placement.process import ProcessPlacement
from trigger_supervisor.settings import SupervisorSettings
from trigger_supervisor.supervisor import Supervisor
from trigger_supervisor.upstream import Upstream
from trigger_supervisor.workload_sockets import WorkloadSockets

__all__ = ["End", "Ready", "run", "serve"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """A supervisor that takes runs: its group, and where its runners reach it."""

    group: str
    url: str


def run(settings: SupervisorSettings, announce: Callable[[Ready], None]) -> None:
    """Supervise until SIGINT or SIGTERM, then let runs end; told twice, do not wait for them.

    Raises:
        TriggerError: the port is taken, or the platform refuses the token.
    """
    asyncio.run(_in_foreground(settings, announce))


async def _in_foreground(settings: SupervisorSettings, announce: Callable[[Ready], None]) -> None:
    end = End()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.tell)
    await serve(settings, announce, end)


class End:
    """How a supervisor is told to end: once, and it waits for its runs; twice, and it does not."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.told_twice = asyncio.Event()

    def tell(self) -> None:
        """Tell it once more."""
        (self.told_twice if self.told.is_set() else self.told).set()


async def serve(settings: SupervisorSettings, announce: Callable[[Ready], None], end: End) -> None:
    """Supervise until told to end; raises as :func:`run` does."""
    with _listen(settings) as listener:
        await _serve_on(listener, settings, announce, end)


async def _serve_on(
    listener: socket.socket,
    settings: SupervisorSettings,
    announce: Callable[[Ready], None],
    end: End,
) -> None:
    upstream = Upstream(settings.api_url, settings.token, settings.name, settings.managed_secret)
    placement = ProcessPlacement(Bundles(settings.bundles))
    try:
        group = await upstream.connect()
        await placement.open()
        url = f"http://{settings.advertised_host or settings.host}:{listener.getsockname()[1]}"
        parts = _assemble(settings, upstream, placement, url)
        await parts.run(listener, lambda: announce(Ready(group.name, url)), end)
    finally:
        await placement.close()
        await upstream.close()
    _log.info("ended")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What lives while a supervisor does."""

    supervisor: Supervisor
    notices: Notices
    web: _Web
    grace_s: float

    async def run(self, listener: socket.socket, announce: Callable[[], None], end: End) -> None:
        """Live until told to end, or until something fails that nobody can go on without."""
        serving = asyncio.create_task(self.web.serve(sockets=[listener]))
        taking = asyncio.create_task(self.supervisor.take())
        beating = asyncio.create_task(self.supervisor.beat())
        hearing = asyncio.create_task(self.notices.run())
        needed = (serving, taking, beating, hearing)
        announce()
        try:
            await _first(*needed, end.told.wait())
            _log.info("taking no more runs; %d are not over", self.supervisor.running)
            self.supervisor.end()
            await _first(taking, end.told_twice.wait())
            await _first(self.supervisor.over(), end.told_twice.wait(), timeout=self.grace_s)
            await self.supervisor.kill()
        finally:
            self.web.should_exit = True
            for task in (taking, beating, hearing):
                task.cancel()
            await asyncio.gather(*needed, return_exceptions=True)
        for task in needed:
            if not task.cancelled():
                task.result()


async def _first(
    *what: asyncio.Task[None] | Coroutine[Any, Any, Any], timeout: float | None = None
) -> None:
    """Wait for the first of tasks and of what is made a task for as long as this takes."""
    tasks = [asyncio.ensure_future(one) for one in what]
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for given, task in zip(what, tasks, strict=True):
        if given is not task:
            task.cancel()


def _assemble(
    settings: SupervisorSettings, upstream: Upstream, placement: ProcessPlacement, url: str
) -> _Parts:
    scheme, _, place = url.partition("://")
    host, _, port = place.rpartition(":")
    around = Surroundings(
        instance=settings.name,
        group_token=settings.token,
        scheme=scheme,
        host=host,
        port=int(port),
        otlp_url=settings.otlp_url or f"{settings.api_url.rstrip('/')}/otel",
        warm_start_url=url if settings.keep_warm_s else None,
    )
    read_token = partial(workload_token.read, group_token=settings.token)
    sockets, attempts = WorkloadSockets(read_token), HeldAttempts()
    notices = Notices(
        settings.api_url,
        {"Authorization": f"Bearer {settings.token}", **upstream.headers},
        sockets.tell,
    )
    sockets.listen_to(notices)
    crew = Crew(placement, settings.max_runs)
    capacity = Capacity(settings.max_runs, settings.cpu, settings.memory_gb)
    supervisor = Supervisor(
        upstream=upstream,
        crew=crew,
        capacity=capacity,
        attempts=attempts,
        sockets=sockets,
        around=around,
        clock=SystemClock(),
    )
    web = _Web(
        uvicorn.Config(
            workload_server.build(
                workload_server.Workload(
                    upstream, attempts, crew, read_token, settings.keep_warm_s
                ),
                sockets,
            ),
            ws="wsproto",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )
    return _Parts(supervisor, notices, web, settings.drain_grace_s)


class _Web(uvicorn.Server):
    """Leaves signals to this program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield


def _listen(settings: SupervisorSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        raise TriggerError(
            f"the workload server cannot listen on {settings.host} port {settings.port}",
            code="PORT_IN_USE" if is_taken else "ADDRESS_UNUSABLE",
            because=error.strerror,
            hint="let `--port 0` pick a free one, or choose another `--host`",
        ) from error
