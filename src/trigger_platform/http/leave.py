"""The leave of who follows something for long: asked for anew now and then, so no token outlives itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from trigger_core.errors import TriggerError
from trigger_platform.http.auth import Principal, identify
from trigger_platform.http.endpoint import Incoming
from trigger_platform.http.server import Server

__all__ = ["Leave"]

_LEAVE_S: Final = 10.0


@dataclass(slots=True)
class Leave:
    """A reader's leave to read, and until when it is not asked for again."""

    call: Incoming[Any]
    until: float

    @classmethod
    def of(cls, call: Incoming[Any]) -> Leave:
        """Begin with what let the reader in."""
        now = asyncio.get_running_loop().time()
        return cls(call, now + _leave_s(call.server, call.principal))

    @property
    def left_s(self) -> float:
        """For how long it need not be asked for again."""
        return max(0.0, self.until - asyncio.get_running_loop().time())

    async def holds(self) -> bool:
        """Tell whether the reader may go on; when the server ends, it may not here."""
        server, now = self.call.server, asyncio.get_running_loop().time()
        if server.hub.closed.is_set():
            return False
        if now < self.until:
            return True
        try:
            principal = await identify(server, self.call.access, self.call.request)
        except TriggerError:
            return False
        self.until = now + _leave_s(server, principal)
        return True


def _leave_s(server: Server, principal: Principal) -> float:
    public = principal.public
    if public is None:
        return _LEAVE_S
    return min(_LEAVE_S, (public.expires_at - server.units.clock.now()) / 1000)
