"""The worker's channel."""

from __future__ import annotations

from trigger_core.api.call import Call, reading
from trigger_core.schemas.workers import (
    Connect,
    Connected,
    Poll,
    Polled,
    Registered,
    RegisterWorker,
    Report,
    Reported,
)

__all__ = ["connect", "poll", "register", "report"]

_REPEATED = {"isRepeated": True}


def connect(request: Connect) -> Call[Connected]:
    """Take a seat; the process that had it before is gone."""
    return Call("POST", "/engine/v1/worker/connect", reading(Connected), body=request.to_wire())


def register(project_ref: str, request: RegisterWorker) -> Call[Registered]:
    """Register a version of the user's code and make it current."""
    path = f"/api/v1/projects/{project_ref}/background-workers"
    return Call("POST", path, reading(Registered), body=request.to_wire())


def poll(request: Poll) -> Call[Polled]:
    """Wait for runs and signals."""
    path, body = "/engine/v1/worker/poll", request.to_wire()
    return Call("POST", path, reading(Polled), body=body, repeated=_REPEATED)


def report(request: Report) -> Call[Reported]:
    """Tell what happened."""
    path, body = "/engine/v1/worker/report", request.to_wire()
    return Call("POST", path, reading(Reported), body=body, repeated=_REPEATED)
