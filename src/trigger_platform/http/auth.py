"""Who may call a route. The rule is part of the route; a route without a rule cannot be written."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import Enum

from starlette.requests import Request

from trigger_core.errors import AuthenticationError, PermissionDeniedError
from trigger_platform.engine import access_token, environment
from trigger_platform.engine.unit import Unit
from trigger_platform.http import public_token
from trigger_platform.http.server import Server
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["Access", "Principal", "identify"]

_FIX = "pass the environment's secret key: Authorization: Bearer tr_dev_…"


class Access(Enum):
    """Which credentials a route takes."""

    OPEN = "anybody"
    LOCAL = "a browser on this machine (the guard checks Host and Origin)"
    ENVIRONMENT = "an environment's secret key"
    RUN_READER = "an environment's secret key, or a public token that may read the run"
    USER = "a personal access token"
    ENVIRONMENT_OR_USER = "an environment's secret key or a personal access token"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and in which environment."""

    environment: EnvironmentRow


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
    if token.startswith("tr_pat_"):
        return await _user(server, access, token)
    if token.count(".") == 2 and access is Access.RUN_READER:
        return await _public(server, token, request.path_params.get("run_id", ""))
    found = await _environment(server, token)
    if found is None or access is Access.USER:
        raise AuthenticationError(
            "Invalid or Missing API Key", status=401, because=_because(token), hint=_FIX
        )
    return Principal(found)


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


async def _public(server: Server, token: str, run_id: str) -> Principal:
    environment_id = public_token.environment_of(token)
    if environment_id is None:
        raise AuthenticationError("Invalid or Missing API Key", status=401, hint=_FIX)
    found = await server.units.read(_by_id, environment_id)
    if found is None:
        raise AuthenticationError("Invalid or Missing API Key", status=401, hint=_FIX)
    scopes = public_token.verify(token, found)
    if not {"admin", "read:runs", "read:all", f"read:runs:{run_id}"} & set(scopes):
        raise PermissionDeniedError("Unauthorized", status=403, code="unauthorized")
    return Principal(found)


def _by_id(u: Unit, environment_id: str) -> EnvironmentRow | None:
    return u.tx.maybe("environment_by_id", EnvironmentRow, id=environment_id)
