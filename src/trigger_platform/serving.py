"""Serving: a listening socket, the connections behind it, and an end that costs nobody a request."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn

from trigger_core.errors import TriggerError
from trigger_platform.app import build, open_server
from trigger_platform.http import setup_link
from trigger_platform.http.connection import Connection, Gate, protocol
from trigger_platform.http.server import Server
from trigger_platform.settings import Settings

__all__ = ["serve"]

_log = logging.getLogger(__name__)
_BACKLOG = 1024
_KEEP_ALIVE_S = 75
"""Longer than clients and proxies keep an idle connection (5 and 60 s): they end it, and not we while a
request is on its way."""
_MESSAGE_BYTES = 1024 * 1024
_QUIET_S = 1.0
_TICK_S = 0.02
_OTHER_FILES = 64
_MANY = 1_000_000


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
    server.setup_url = await setup_link.for_first_admin(server)
    gate = Gate(
        most=max(1, min(settings.max_connections, _open_files() - _OTHER_FILES)),
        head_s=settings.header_timeout / 1000,
        body_s=settings.body_timeout / 1000,
        is_for_one_user=not settings.login,
    )
    web = _Web(_config(server, gate), gate, settings.drain_grace / 1000)
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    await _up(web, serving)
    announce(server)
    await until.wait()
    await _drain(server, web)
    await serving
    server.units.db.close()


async def _up(web: _Web, serving: asyncio.Task[None]) -> None:
    """Wait until requests are answered, or raise what keeps the server from it."""
    up = asyncio.create_task(web.up.wait())
    await asyncio.wait({up, serving}, return_when=asyncio.FIRST_COMPLETED)
    if not up.done():
        up.cancel()
        await serving
        raise TriggerError("the web server ended before it began", code="SERVER_NOT_STARTED")


def _open_files() -> int:
    """Return how many files this process may have open; each connection is one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if limit == resource.RLIM_INFINITY else limit


async def _drain(server: Server, web: _Web) -> None:
    """Say that no more should come, then take no more, let those go who wait, and answer the rest."""
    server.is_draining = web.gate.is_draining = True
    for connection in web.connections():
        connection.end_with_answer()
    await asyncio.sleep(server.settings.drain_delay / 1000)
    await web.stop_listening()
    server.close()
    web.should_exit = True


def _config(server: Server, gate: Gate) -> uvicorn.Config:
    settings = server.settings
    return uvicorn.Config(
        build(server),
        http=protocol(gate),
        ws="wsproto",
        ws_max_size=_MESSAGE_BYTES,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(2, settings.drain_grace // 1000),
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
    )


class _Web(uvicorn.Server):
    """Leaves signals to this program, says when it is up, and ends gently."""

    def __init__(self, config: uvicorn.Config, gate: Gate, grace_s: float) -> None:
        super().__init__(config)
        self.gate = gate
        self.up = asyncio.Event()
        self._grace_s = grace_s
        self._listener: socket.socket | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        assert sockets
        self._listener = sockets[0].dup()
        await super().startup(sockets)
        self.up.set()

    async def stop_listening(self) -> None:
        """Take those in who have reached us already, so that none of them is cut off; then refuse."""
        for server in self.servers:
            server.close()
        listener, self._listener = self._listener, None
        assert listener is not None
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        with listener, suppress(BlockingIOError):
            while True:
                accepted, _ = listener.accept()
                accepted.setblocking(False)
                await loop.connect_accepted_socket(self._connection, accepted)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End connections once they are quiet: a client may be sending on one that looks idle.

        A web socket is told at once that the server goes away; its client comes back elsewhere.
        """
        loop = asyncio.get_running_loop()
        for connection in list(self.server_state.connections):
            if not isinstance(connection, Connection):
                connection.shutdown()
        quiet_s, end = min(_QUIET_S, self._grace_s), loop.time() + self._grace_s
        while self.server_state.connections and loop.time() < end:
            if not self.server_state.tasks and loop.time() - self.gate.heard_at >= quiet_s:
                break
            await asyncio.sleep(_TICK_S)
        await super().shutdown(sockets)

    def connections(self) -> list[Connection]:
        """Return the open connections."""
        return [one for one in self.server_state.connections if isinstance(one, Connection)]

    def _connection(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield


def _listen(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(
            place[:2],
            family=family,
            backlog=_BACKLOG,
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
