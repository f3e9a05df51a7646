"""Who may call a route. The rule is part of the route; a route without a rule cannot be written."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from starlette.requests import Request

from trigger_core.errors import AuthenticationError, PermissionDeniedError
from trigger_platform.engine import access_token, environment
from trigger_platform.engine.unit import Unit
from trigger_platform.http import public_token, scopes
from trigger_platform.http.public_token import PublicToken
from trigger_platform.http.scopes import Resource
from trigger_platform.http.server import Server
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["Access", "Principal", "identify"]

_FIX = "pass the environment's secret key: Authorization: Bearer tr_dev_…"


class Access(Enum):
    """Which credentials a route takes."""

    OPEN = "anybody"
    LOCAL = "a browser on this machine (the guard checks Host and Origin)"
    ENVIRONMENT = "an environment's secret key"
    RUN_READER = "an environment's secret key, or a public token that may read the run"
    RUN_WRITER = "an environment's secret key, or a public token that may write the run"
    TASK_TRIGGER = "an environment's secret key, or a public token that may trigger the task"
    BATCH_READER = "an environment's secret key, or a public token that may read the batch"
    WAITPOINT_COMPLETER = (
        "an environment's secret key, or a public token that may complete the token"
    )
    USER = "a personal access token"
    METRICS = "the token for metrics; without one, anybody on this machine"
    ENVIRONMENT_OR_USER = "an environment's secret key or a personal access token"


@dataclass(frozen=True, slots=True)
class _Need:
    """What a public token must allow: an action on the thing that a parameter of the path names."""

    action: str
    type: str
    parameter: str


_NEEDS = {
    Access.RUN_READER: _Need("read", "runs", "run_id"),
    Access.RUN_WRITER: _Need("write", "runs", "run_id"),
    Access.TASK_TRIGGER: _Need("trigger", "tasks", "task_id"),
    Access.BATCH_READER: _Need("read", "batch", "batch_id"),
    Access.WAITPOINT_COMPLETER: _Need("write", "waitpoints", "token_id"),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and in which environment; ``public`` is there when a public token does."""

    environment: EnvironmentRow
    public: PublicToken | None = None

    def require(self, action: str, resources: Iterable[Resource]) -> None:
        """Refuse a public token that does not allow an action on any of the resources.

        Raises:
            PermissionDeniedError: it does not.
        """
        if self.public is not None and not scopes.allows(self.public.scopes, action, resources):
            raise PermissionDeniedError("Unauthorized", status=403, code="unauthorized")


async def identify(server: Server, access: Access, request: Request) -> Principal:
    """Return the caller, or refuse.

    Raises:
        AuthenticationError: the credentials are missing or wrong.
        PermissionDeniedError: they are right and not enough.
    """
    local = Principal(server.local.environment)
    if access in {Access.OPEN, Access.LOCAL}:
        return local
    token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if access is Access.METRICS:
        _may_read_metrics(server, token)
        return local
    if token.startswith("tr_pat_"):
        return await _user(server, access, token)
    need = _NEEDS.get(access)
    if token.count(".") == 2 and need is not None:
        subject = str(request.path_params[need.parameter])
        return await _public(server, need, token, subject)
    found = await _environment(server, token)
    if found is None or access is Access.USER:
        raise AuthenticationError(
            "Invalid or Missing API Key", status=401, because=_because(token), hint=_FIX
        )
    return Principal(found)


def _may_read_metrics(server: Server, token: str) -> None:
    wanted = server.settings.metrics_token
    if wanted is None and not server.settings.is_public:
        return
    if wanted is None or not hmac.compare_digest(
        token.encode(), wanted.get_secret_value().encode()
    ):
        raise AuthenticationError(
            "Invalid or Missing Token for Metrics",
            status=401,
            hint="set TRIGGER_METRICS_TOKEN, and pass it: Authorization: Bearer …",
        )


def _because(token: str) -> str:
    return "the key is not known here" if token else "there is no Authorization header"


async def _environment(server: Server, token: str) -> EnvironmentRow | None:
    mine = server.local.environment
    if hmac.compare_digest(token.encode(), mine.secret_key.encode()):
        return mine
    return await server.units.read(environment.by_secret_key, token) if token else None


async def _user(server: Server, access: Access, token: str) -> Principal:
    known = token == server.local.access_token or await server.units.read(
        access_token.exists, token
    )
    if not known:
        raise AuthenticationError(
            "Invalid or Missing Access Token", status=401, because="the token is not known here"
        )
    if access not in {Access.USER, Access.ENVIRONMENT_OR_USER}:
        raise AuthenticationError(
            "Invalid or Missing API Key",
            status=401,
            because="a personal access token cannot be used here",
            hint=_FIX,
        )
    return Principal(server.local.environment)


async def _public(server: Server, need: _Need, token: str, subject: str) -> Principal:
    environment_id = public_token.environment_of(token)
    found = await server.units.read(_by_id, environment_id) if environment_id else None
    if found is None:
        raise AuthenticationError("Invalid or Missing API Key", status=401, hint=_FIX)
    public = public_token.verify(token, found)
    resources = await server.units.read(_resources, found, need.type, subject)
    caller = Principal(found, public)
    caller.require(need.action, resources)
    return caller


def _resources(u: Unit, found: EnvironmentRow, kind: str, subject: str) -> list[Resource]:
    """Return what a scope may name to reach the subject; a run is reached by task, tag and batch too."""
    resources = [Resource(kind, subject)]
    if kind == "batch":
        return [*resources, Resource("runs")]
    run = (
        u.tx.maybe("run_by_id", RunRow, id=subject, environment_id=found.id)
        if kind == "runs"
        else None
    )
    if run is None:
        return resources
    tags: list[str] = json.loads(run.tags) if run.tags else []
    batch = [Resource("batch", run.batch_id)] if run.batch_id else []
    return [
        *resources,
        Resource("tasks", run.task),
        *(Resource("tags", tag) for tag in tags),
        *batch,
    ]


def _by_id(u: Unit, environment_id: str) -> EnvironmentRow | None:
    return u.tx.maybe("environment_by_id", EnvironmentRow, id=environment_id)
