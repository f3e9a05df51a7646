"""Supervisors and the platform (protocol F.1)."""

from __future__ import annotations

from collections.abc import Mapping

from trigger_core.api.call import Answer, Call, reading
from trigger_core.schemas.execution import LatestSnapshot, Ok
from trigger_core.schemas.supervisors import (
    ConnectSupervisor,
    DequeueRuns,
    ManagedMessages,
    SupervisorConnected,
    SupervisorHeartbeat,
)

__all__ = ["action", "connect", "dequeue", "heartbeat", "latest"]

_ACTIONS = "/engine/v1/worker-actions"
_PASSED_ON = frozenset(range(400, 500)) - {401, 403, 429}
"""What the platform says of a run is for the runner; what it says of the supervisor is not."""


def connect(request: ConnectSupervisor) -> Call[SupervisorConnected]:
    """Learn which group the token is of."""
    return Call("POST", f"{_ACTIONS}/connect", reading(SupervisorConnected), body=request.to_wire())


def heartbeat(request: SupervisorHeartbeat) -> Call[Ok]:
    """Say that the supervisor is alive."""
    return Call("POST", f"{_ACTIONS}/heartbeat", reading(Ok), body=request.to_wire())


def dequeue(request: DequeueRuns) -> Call[ManagedMessages]:
    """Take runs, or wait a moment for some."""
    return Call(
        "POST",
        f"{_ACTIONS}/dequeue",
        lambda answer: ManagedMessages.model_validate_json(answer.body),
        body=request.to_wire(),
    )


def latest(run_id: str) -> Call[LatestSnapshot]:
    """Read where a run is."""
    return Call("GET", f"{_ACTIONS}/runs/{run_id}/snapshots/latest", reading(LatestSnapshot))


def action(
    method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Call[Answer]:
    """Pass on what a runner asks for, ``path`` below its run; refusals of it are an answer too."""
    kind = {"content-type": "application/json"} if content is not None else {}
    return Call(
        method,
        f"{_ACTIONS}/runs/{path}",
        lambda answer: answer,
        content=content,
        headers={**kind, **(headers or {})},
        accepts=_PASSED_ON,
    )
