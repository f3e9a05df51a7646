"""What every route can use: the units, those who wait, and who this server is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from trigger_platform.blobs.blob_store import BlobStore, Place
from trigger_platform.engine import secret_key
from trigger_platform.engine.project import Ensured
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.http.known_keys import KnownKeys
from trigger_platform.http.rate_limit import RateLimits
from trigger_platform.http.run_token import RunTokens
from trigger_platform.metrics import Metrics
from trigger_platform.openid import OpenIdProvider
from trigger_platform.realtime.feeds import Feeds
from trigger_platform.realtime.hub import Hub
from trigger_platform.settings import Settings
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["Loop", "Server"]

P = ParamSpec("P")
T = TypeVar("T")


class Loop(Protocol):
    """Something that passes over and over; ``passed_at`` is when it last did (ms)."""

    passed_at: int | None

    async def run(self) -> None:
        """Pass for ever."""
        ...


@dataclass(slots=True)
class Server:
    """One running platform; ``url`` is known once the socket is bound.

    Telemetry is decoded one request at a time, and that of callers who show nothing likewise; of these only
    some are listened to at once.
    """

    units: Units
    hub: Hub
    local: Ensured
    feeds: Feeds
    url: str = ""
    settings: Settings = Settings()  # noqa: RUF009 - frozen
    blobs: BlobStore | None = None
    is_draining: bool = False
    loops: Mapping[str, Loop] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    keys: KnownKeys = field(default_factory=KnownKeys)
    rates: RateLimits = field(init=False)
    run_tokens: RunTokens = field(init=False)
    decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    decoding_strangers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    strangers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(16))
    setup_url: str | None = None
    provider: OpenIdProvider | None = None

    def __post_init__(self) -> None:
        """Begin to count calls and to sign."""
        self.rates = RateLimits(self.settings)
        self.run_tokens = RunTokens(self.units.keys)

    def secret_key_of(self, environment: EnvironmentRow) -> str:
        """Return an environment's secret key."""
        return secret_key.read(self.units.keys, environment)

    def blob_place(self, environment: EnvironmentRow, path: str) -> Place:
        """Return where a blob of an environment lies."""
        return Place(environment.id, path, self.secret_key_of(environment))

    def close(self) -> None:
        """Let everybody who waits go: the server is ending."""
        self.hub.close()
        self.feeds.close()

    async def write(
        self,
        function: Callable[Concatenate[Unit, EnvironmentRow, P], T],
        environment_id: str,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run an engine function in an environment as it is at that moment."""

        def work(u: Unit) -> T:
            environment = u.tx.one("environment_by_id", EnvironmentRow, id=environment_id)
            return function(u, environment, *args, **kwargs)

        return await self.units.write(work)

    async def read(
        self,
        function: Callable[Concatenate[Unit, EnvironmentRow, P], T],
        environment_id: str,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a function that only reads, likewise."""

        def work(u: Unit) -> T:
            environment = u.tx.one("environment_by_id", EnvironmentRow, id=environment_id)
            return function(u, environment, *args, **kwargs)

        return await self.units.read(work)
