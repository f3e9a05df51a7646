"""The one place where imports are late.

``import trigger_sdk`` must cost next to nothing in a web app that only defines or triggers tasks, so what
needs pydantic (a tenth of a second) or httpx (a third) is imported when it is first used.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from trigger_sdk import (
        _remote,
        _remote_deployments,
        _remote_envvars,
        _remote_schedules,
        _remote_streams,
        _signature,
    )

__all__ = [
    "check_schedule",
    "deployments",
    "envvars",
    "preload",
    "remote",
    "schedules",
    "signature",
    "streams",
]


@cache
def _load(name: str) -> ModuleType:
    return import_module(name)


def signature() -> type[_signature.Signature]:
    """Return the class that reads a task's annotations; loads pydantic."""
    return cast("type[_signature.Signature]", _load("trigger_sdk._signature").Signature)


def remote() -> type[_remote.Remote]:
    """Return the class that talks to the platform; loads httpx."""
    return cast("type[_remote.Remote]", _load("trigger_sdk._remote").Remote)


def schedules() -> type[_remote_schedules.RemoteSchedules]:
    """Return the class that asks about schedules; loads httpx."""
    found = _load("trigger_sdk._remote_schedules").RemoteSchedules
    return cast("type[_remote_schedules.RemoteSchedules]", found)


def deployments() -> type[_remote_deployments.RemoteDeployments]:
    """Return the class that asks about deployments; loads httpx."""
    found = _load("trigger_sdk._remote_deployments").RemoteDeployments
    return cast("type[_remote_deployments.RemoteDeployments]", found)


def streams() -> type[_remote_streams.RemoteStreams]:
    """Return the class that reads and writes streams and follows runs; loads httpx."""
    found = _load("trigger_sdk._remote_streams").RemoteStreams
    return cast("type[_remote_streams.RemoteStreams]", found)


def envvars() -> type[_remote_envvars.RemoteVariables]:
    """Return the class that asks about environment variables; loads httpx."""
    found = _load("trigger_sdk._remote_envvars").RemoteVariables
    return cast("type[_remote_envvars.RemoteVariables]", found)


def check_schedule() -> Callable[[str | None, str | None, str, str | None], None]:
    """Return what refuses a wrong schedule; loads cron expressions and time zones."""
    return cast(
        "Callable[[str | None, str | None, str, str | None], None]",
        _load("trigger_sdk._schedule_check").check,
    )


def preload() -> None:
    """Load everything now: a process that will be forked pays once for all its children."""
    _load("trigger_sdk._signature")
    _load("trigger_sdk._remote")
