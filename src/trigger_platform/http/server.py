"""What every route can use: the units, those who wait, and who this server is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from trigger_platform.blobs.blob_store import BlobStore, Place
from trigger_platform.engine import secret_key
from trigger_platform.engine.project import Ensured
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.http.known_keys import KnownKeys
from trigger_platform.realtime.feeds import Feeds
from trigger_platform.realtime.hub import Hub
from trigger_platform.settings import Settings
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["Server"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Server:
    """One running platform; ``url`` is known once the socket is bound."""

    units: Units
    hub: Hub
    local: Ensured
    feeds: Feeds
    url: str = ""
    settings: Settings = Settings()  # noqa: RUF009 - frozen
    blobs: BlobStore | None = None
    keys: KnownKeys = field(default_factory=KnownKeys)

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
