"""Running a server in the foreground of a process, until a signal or something else ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from trigger_core.errors import ExitCode
from trigger_platform import log_lines
from trigger_platform.http.server import Server
from trigger_platform.serving import serve
from trigger_platform.settings import Settings

__all__ = ["run"]

_log = logging.getLogger(__name__)


def run(
    settings: Settings,
    announce: Callable[[Server], None],
    watch: Callable[[asyncio.Event], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; requests that were accepted are answered, writes committed.

    Args:
        settings: how to serve.
        announce: called once requests are answered.
        watch: called with the event that ends the server, so that more than signals can.

    Raises:
        TriggerError: the port is taken, or the database cannot be used.
    """
    os.umask(0o077)  # the data holds keys
    _allow_connections()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, announce, watch))


def _allow_connections() -> None:
    """Each connection is an open file; systems allow more of them than they do at first."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(
    settings: Settings,
    announce: Callable[[Server], None],
    watch: Callable[[asyncio.Event], None] | None,
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _end, ended)
    if watch is not None:
        watch(ended)

    def serving(server: Server) -> None:
        log_lines.hide(server.units.keys.hidden)
        _log.info("serving %s at %s", server.local.project.ref, server.url)
        announce(server)

    await serve(settings, announce=serving, until=ended)
    _log.info("ended")


def _end(ended: asyncio.Event) -> None:
    """End gently; told a second time, at once: what was acknowledged is committed."""
    if ended.is_set():
        _log.warning("ended before every request was answered: told twice")
        os._exit(ExitCode.INTERRUPTED)
    ended.set()


def _loop_factory() -> Any:
    """Use uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - optional, and only this process needs it
    except ImportError:
        return None
    return uvloop.new_event_loop
