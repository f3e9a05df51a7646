"""Who calls, and in which project and environment; who may not is refused. The rules stand in ``access``."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from starlette.requests import Request

from trigger_core.errors import (
    ApiError,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
)
from trigger_platform.engine import access_token, environment, organization, project, secret_key
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http import public_token, scopes
from trigger_platform.http.access import Access, Credential, Need, Rule
from trigger_platform.http.public_token import PublicToken
from trigger_platform.http.scopes import Resource
from trigger_platform.http.server import Server
from trigger_platform.store.rows import (
    AccessTokenRow,
    EnvironmentRow,
    ProjectRow,
    RunRow,
)

__all__ = ["Access", "Principal", "identify"]

_FIX = "pass the environment's secret key: Authorization: Bearer tr_dev_…"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and where.

    Attributes:
        placed: the environment, where there is one.
        project: the project that the path names, if it names one.
        user_id: the user, if a user's token calls.
        organization_id: the organisation, if its token calls.
        role: what a user or an organisation's token may do in the project.
        public: there when a public token calls.
    """

    placed: EnvironmentRow | None = None
    project: ProjectRow | None = None
    user_id: str | None = None
    organization_id: str | None = None
    role: Role | None = None
    public: PublicToken | None = None

    @property
    def environment(self) -> EnvironmentRow:
        """The environment the caller works in, as it was a moment ago."""
        if self.placed is None:
            raise LookupError("a route without an environment asks for one")
        return self.placed

    def require(self, action: str, resources: Iterable[Resource]) -> None:
        """Refuse a public token that does not allow an action on any of the resources.

        Raises:
            PermissionDeniedError: it does not.
        """
        if self.public is not None and not scopes.allows(self.public.scopes, action, resources):
            raise _forbidden()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request says about who calls, and where."""

    token: str
    ref: str | None
    word: str | None
    branch: str

    @classmethod
    def of(cls, request: Request) -> _Asked:
        headers, path = request.headers, request.path_params
        branch = "".join(filter(str.isprintable, headers.get("x-trigger-branch", ""))).strip()
        return cls(
            token=headers.get("authorization", "").removeprefix("Bearer ").strip(),
            ref=path.get("project_ref"),
            word=path.get("env"),
            branch="" if branch == "default" else branch,
        )


async def identify(server: Server, access: Access, request: Request) -> Principal:
    """Return the caller, or refuse.

    Raises:
        AuthenticationError: the credentials are missing, wrong, or of a kind the route does not take.
        PermissionDeniedError: they are right and not enough.
        NotFoundError: the path names a project or environment that is none for this caller.
    """
    rule = access.value
    if not rule.takes:
        return Principal()
    if Credential.BROWSER in rule.takes:
        return Principal(server.local.environment)
    asked = _Asked.of(request)
    if Credential.METRICS_TOKEN in rule.takes:
        _may_read_metrics(server, asked.token)
        return Principal()
    if asked.token.startswith(("tr_pat_", "tr_oat_")):
        return await _token(server, rule, asked)
    if asked.token.count(".") == 2 and rule.need is not None:
        named = rule.need.parameter
        subject = request.path_params.get(named) or request.query_params.get(named, "")
        return await _public(server, rule.need, asked.token, str(subject))
    return await _key(server, rule, asked)


def _may_read_metrics(server: Server, token: str) -> None:
    wanted = server.settings.metrics_token
    if wanted is None and not server.settings.is_public:
        return
    given = "" if wanted is None else wanted.get_secret_value()
    if not given or not hmac.compare_digest(token.encode(), given.encode()):
        raise AuthenticationError(
            "Invalid or Missing Token for Metrics",
            status=401,
            hint="set TRIGGER_METRICS_TOKEN, and pass it: Authorization: Bearer …",
        )


async def _key(server: Server, rule: Rule, asked: _Asked) -> Principal:
    found = await _environment(server, asked) if asked.token.startswith("tr_") else None
    if found is None or Credential.ROOT_KEY not in rule.takes:
        because = "the key is not known here" if asked.token else "there is no Authorization header"
        raise AuthenticationError(
            "Invalid or Missing API Key", status=401, because=because, hint=_FIX
        )
    if asked.ref is None:
        return Principal(found)
    named = await server.units.read(project.by_ref, asked.ref)
    if named is None or named.id != found.project_id:
        raise _no_project(asked.ref)
    if asked.word not in {None, found.word}:
        raise _no_environment(asked)
    return Principal(found, named)


async def _environment(server: Server, asked: _Asked) -> EnvironmentRow | None:
    now = server.units.clock.now()
    found = server.keys.find(asked.token, asked.branch, now)
    if found is None:
        found = await server.units.read(_opened, asked.token, asked.branch)
        if found is not None:
            server.keys.learn(asked.token, asked.branch, found, now)
    return found


def _opened(u: Unit, key: str, branch: str) -> EnvironmentRow | None:
    """Return the environment that a key opens, or the branch of it; its parent's key signs for a branch."""
    opened = environment.by_secret_key(u, key)
    return _branch(u, opened, branch) if opened is not None and branch else opened


def _branch(u: Unit, parent: EnvironmentRow, branch: str) -> EnvironmentRow | None:
    found = environment.branch_of(u, parent, branch)
    return None if found is None else secret_key.lent(parent, found)


async def _token(server: Server, rule: Rule, asked: _Asked) -> Principal:
    row = await server.units.read(access_token.find, asked.token)
    if row is None:
        raise AuthenticationError(
            "Invalid or Missing Access Token", status=401, because="the token is not known here"
        )
    kind = Credential.USER_TOKEN if row.user_id else Credential.ORGANIZATION_TOKEN
    if kind not in rule.takes:
        raise AuthenticationError(
            "Invalid or Missing API Key",
            status=401,
            because=f"{kind.value} cannot be used here",
            hint=_FIX,
        )
    if access_token.is_worth_noting(row, server.units.clock.now()):
        await server.units.write(access_token.used, row.id)
    caller = Principal(user_id=row.user_id, organization_id=row.organization_id)
    return caller if asked.ref is None else await _placed(server, rule, asked, row, caller)


async def _placed(
    server: Server, rule: Rule, asked: _Asked, row: AccessTokenRow, caller: Principal
) -> Principal:
    """Put a caller into the project, and the environment, that the path names."""
    named, role = await server.units.read(_standing, row, asked.ref or "")
    if role < rule.role:
        raise _forbidden()
    caller = replace(caller, project=named, role=role)
    if asked.word is None:
        return caller
    if asked.word not in environment.TYPES:
        raise ApiError("Invalid Params", status=400, code="ENVIRONMENT_NOT_FOUND")
    found = await server.units.read(_named, named, asked, row.user_id)
    if found is None and not asked.branch and role >= Role.DEVELOPER:
        found = await server.units.write(_made, named, asked, row.user_id)
    if found is None:
        raise _no_environment(asked)
    return replace(caller, placed=found)


def _standing(u: Unit, row: AccessTokenRow, ref: str) -> tuple[ProjectRow, Role]:
    """Return a project and the role that a token has in it; a project without is none at all."""
    named = project.by_ref(u, ref)
    role = None if named is None else _role(u, row, named)
    if named is None or role is None:
        raise _no_project(ref)
    return named, role


def _role(u: Unit, row: AccessTokenRow, named: ProjectRow) -> Role | None:
    if row.user_id is not None:
        return organization.role_of(u, named.organization_id, row.user_id)
    return Role[row.role] if row.role and row.organization_id == named.organization_id else None


def _named(u: Unit, named: ProjectRow, asked: _Asked, user_id: str | None) -> EnvironmentRow | None:
    """Return the environment that a path names; ``dev`` is the caller's own, an organisation has none."""
    word = asked.word or ""
    if word != "dev":
        found = environment.find_shared(u, named, word)
    else:
        found = environment.find_developers(u, named, user_id) if user_id else None
    if found is None or found.archived_at is not None:
        return None
    return _branch(u, found, asked.branch) if asked.branch else found


def _made(u: Unit, named: ProjectRow, asked: _Asked, user_id: str | None) -> EnvironmentRow | None:
    if asked.word != "dev":
        return environment.shared(u, named, asked.word or "")
    return environment.of_developer(u, named, user_id) if user_id else None


async def _public(server: Server, need: Need, token: str, subject: str) -> Principal:
    environment_id = public_token.environment_of(token)
    found = await server.units.read(environment.signer, environment_id) if environment_id else None
    if found is None:
        raise AuthenticationError("Invalid or Missing API Key", status=401, hint=_FIX)
    public = public_token.verify(server.units.keys, token, found)
    resources = await server.units.read(_resources, found, need.type, subject)
    caller = Principal(found, public=public)
    caller.require(need.action, resources)
    return caller


def _resources(u: Unit, found: EnvironmentRow, kind: str, subject: str) -> list[Resource]:
    """Return what a scope may name to reach the subject; a run is reached by task, tag and batch too."""
    resources = [Resource(kind, subject)]
    if kind == "tags":
        return [
            Resource("runs"),
            Resource("tags"),
            *(Resource("tags", tag) for tag in subject.split(",")),
        ]
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


def _forbidden() -> PermissionDeniedError:
    return PermissionDeniedError("Unauthorized", status=403, code="unauthorized")


def _no_project(ref: str) -> NotFoundError:
    return NotFoundError(
        "Project not found",
        status=404,
        code="PROJECT_NOT_FOUND",
        because=f"there is no {ref} that you may see",
    )


def _no_environment(asked: _Asked) -> NotFoundError:
    what = f"{asked.word}, branch {asked.branch}" if asked.branch else asked.word
    return NotFoundError(
        "Environment not found",
        status=404,
        code="ENVIRONMENT_NOT_FOUND",
        because=f"the project has no {what} for you",
    )
