"""What every route can use: the units, the hub, and who this server is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from trigger_platform.engine.project import Ensured
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.http.known_keys import KnownKeys
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
    url: str = ""
    settings: Settings = Settings()  # noqa: RUF009 - frozen
    keys: KnownKeys = field(default_factory=KnownKeys)

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
