"""Letting callers in, each into a project and environment; who may not is refused. The rules: ``access``."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, replace

from starlette.requests import Request

from trigger_core.errors import (
    ApiError,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
)
from trigger_platform.engine import (
    access_token,
    additional_key,
    blob,
    environment,
    export_proof,
    organization,
    project,
    revocation,
    secret_key,
    user,
    worker_group,
)
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser, public_token, query_list, run_token
from trigger_platform.http.access import Access, Credential, Need, Rule
from trigger_platform.http.known_keys import Opened
from trigger_platform.http.principal import Principal, forbidden
from trigger_platform.http.scopes import Resource
from trigger_platform.http.server import Server
from trigger_platform.store.rows import (
    AccessTokenRow,
    EnvironmentRow,
    OrganizationRow,
    ProjectRow,
    RunRow,
)

__all__ = ["Access", "Principal", "confirm", "identify"]

_FIX = "pass the environment's secret key: Authorization: Bearer tr_dev_…"

Groups = list[list[Resource]]
"""Any of the groups will do; of a group everything is needed."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request says about who calls, and where."""

    token: str
    branch: str
    ref: str | None
    word: str | None
    home: str | None

    @classmethod
    def of(cls, request: Request) -> _Asked:
        headers, path = request.headers, request.path_params
        branch = "".join(filter(str.isprintable, headers.get("x-trigger-branch", ""))).strip()
        return cls(
            token=headers.get("authorization", "").removeprefix("Bearer ").strip(),
            branch="" if branch == "default" else branch,
            ref=path.get("project_ref"),
            word=environment.SLUGS.get(path.get("env", ""), path.get("env")),
            home=path.get("organization"),
        )


async def identify(server: Server, access: Access, request: Request) -> Principal:
    """Return the caller, or refuse.

    Raises:
        AuthenticationError: the credentials are missing, wrong, or of a kind the route does not take.
        PermissionDeniedError: they are right and not enough.
        NotFoundError: the path names something that is not there for this caller.
    """
    rule = access.value
    if not rule.takes:
        return Principal()
    if Credential.BROWSER in rule.takes:
        return await _by_browser(server, access, request)
    if Credential.EXPORT_PROOF in rule.takes:
        return await _by_export_proof(server, str(request.path_params["proof"]))
    asked = _Asked.of(request)
    if Credential.METRICS_TOKEN in rule.takes:
        _may_read_metrics(server, asked.token)
        return Principal()
    return await _by_credential(server, rule, asked, request)


async def confirm(server: Server, caller: Principal) -> None:
    """Look again at a caller who goes on writing: an attempt that has ended says no more.

    Raises:
        AuthenticationError: it is a run, and its attempt has ended.
    """
    if caller.run_token is not None:
        await server.units.read(run_token.lasting, caller.run_token)


async def _by_browser(server: Server, access: Access, request: Request) -> Principal:
    if not server.settings.login:
        _refuse_other_users(request)
        return Principal(server.local.environment, user_id=user.LOCAL_USER, role=Role.OWNER)
    token, chosen = (request.cookies.get(name, "") for name in (browser.COOKIE, browser.CHOICE))
    person, seats = await server.units.read(browser.sit, token, chosen)
    caller = Principal(user_id=person.id, session=token)
    if access is Access.DASHBOARD_USER:
        return caller
    if not seats:
        raise NotFoundError(
            "there is no environment to show yet", status=404, code="NOTHING_TO_SHOW"
        )
    seat = seats[0]
    own_role = access.value.own_role if seat.environment.owner_id == person.id else None
    least = own_role or access.value.role
    if seat.role < least:
        raise forbidden(
            f"it takes the role {least.name.lower()}, yours is {seat.role.name.lower()}"
        )
    return replace(caller, placed=seat.environment, role=seat.role)


async def _by_export_proof(server: Server, shown: str) -> Principal:
    signers = await server.units.read(environment.signers, export_proof.environment_of(shown))
    proof = export_proof.verify(server.units.keys, signers, shown)
    return Principal(signers[0], export=proof)


def _refuse_other_users(request: Request) -> None:
    """Where nobody logs in, pages are for the user of this process alone."""
    if request.scope.get("state", {}).get("is_foreign"):
        raise PermissionDeniedError(
            "this dashboard is another user's",
            status=403,
            code="OTHER_USER",
            because="nobody logs in to a platform of `trigger dev`: it is for who started it",
            hint="start your own, or share one that people log in to: trigger server start",
        )


async def _by_credential(server: Server, rule: Rule, asked: _Asked, request: Request) -> Principal:
    if asked.token.startswith(("tr_pat_", "tr_oat_")):
        return await _by_token(server, rule, asked)
    if asked.token.startswith("tr_wgt_") or Credential.WORKER_TOKEN in rule.takes:
        return await _by_worker_token(server, rule, asked)
    if run_token.is_one(asked.token) and Credential.RUN_TOKEN in rule.takes:
        return await _by_run_token(server, asked, request)
    if asked.token.count(".") == 2 and Credential.PUBLIC_TOKEN in rule.takes:
        return await _by_public_token(server, rule, asked, request)
    return await _by_key(server, rule, asked, request)


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


async def _by_key(server: Server, rule: Rule, asked: _Asked, request: Request) -> Principal:
    opened = await _opened(server, asked) if asked.token.startswith("tr_") else None
    if opened is None or Credential.KEY not in rule.takes:
        raise AuthenticationError(
            "Invalid or Missing API Key", status=401, because=_unknown(asked), hint=_FIX
        )
    caller = Principal(opened.environment, scopes=opened.scopes)
    if asked.ref is not None:
        caller = await _in_its_project(server, caller, asked)
    return await _within_scopes(server, rule, caller, request)


def _unknown(asked: _Asked) -> str:
    if not asked.token:
        return "there is no Authorization header"
    branch = f", or its environment has no branch {asked.branch}" if asked.branch else ""
    return f"the key is not known here{branch}"


async def _in_its_project(server: Server, caller: Principal, asked: _Asked) -> Principal:
    """Refuse a path that names another project or environment than the key's."""
    found, ref = caller.environment, asked.ref or ""
    named = await server.units.read(project.by_ref, ref)
    if named is None or named.id != found.project_id:
        raise _no_project(ref)
    if asked.word not in {None, found.word}:
        raise _no_environment(asked)
    return replace(caller, project=named)


async def _opened(server: Server, asked: _Asked) -> Opened | None:
    now = server.units.clock.now()
    opened = server.keys.find(asked.token, asked.branch, now)
    if opened is None:
        is_additional = additional_key.is_one(asked.token)
        look_up = _additional if is_additional else _root
        opened = await server.units.read(look_up, asked.token, asked.branch)
        if opened is not None:
            server.keys.learn(asked.token, asked.branch, opened, now)
            if is_additional:
                await server.units.write(additional_key.used, asked.token)
    return opened


def _root(u: Unit, key: str, branch: str) -> Opened | None:
    found = environment.by_secret_key(u, key) or environment.by_retired_key(u, key)
    placed = None if found is None else _at(u, found, branch)
    return None if placed is None else Opened(placed)


def _additional(u: Unit, key: str, branch: str) -> Opened | None:
    row = additional_key.find(u, key)
    if row is None:
        return None
    home = environment.in_service(u, row.environment_id)
    placed = None if home is None else _at(u, home, branch)
    if placed is None:
        return None
    return Opened(placed, additional_key.scopes_of(row), row.expires_at)


def _at(u: Unit, parent: EnvironmentRow, branch: str) -> EnvironmentRow | None:
    """Return the environment, or the branch of it that is asked for; the parent's key signs for a branch."""
    if not branch:
        return parent
    found = environment.branch_of(u, parent, branch)
    return None if found is None else secret_key.lent(parent, found)


async def _by_public_token(
    server: Server, rule: Rule, asked: _Asked, request: Request
) -> Principal:
    environment_id = public_token.environment_of(asked.token)
    signers = await server.units.read(environment.signers, environment_id or "")
    if not signers:
        raise AuthenticationError("Invalid or Missing API Key", status=401, hint=_FIX)
    now = server.units.clock.now()
    public = public_token.verify(server.units.keys, asked.token, signers, now)
    here = signers[0]
    if here.revoking_until > now and await server.units.read(
        revocation.is_revoked, here, public.named
    ):
        raise AuthenticationError("the public access token has been revoked", status=401)
    caller = Principal(here, public=public, scopes=public.scopes)
    return await _within_scopes(server, rule, caller, request)


async def _by_run_token(server: Server, asked: _Asked, request: Request) -> Principal:
    """Let a run in to itself: the scopes say the same, should a handler ask for them."""
    given = server.run_tokens.read(asked.token, server.units.clock.now())
    here = await server.units.read(run_token.lasting, given)
    path = request.path_params
    if path.get("run_id") != given.run_id or path.get("target", "self") != "self":
        raise forbidden()
    scopes = tuple(
        f"{action}:{kind}:{given.run_id}"
        for action in ("read", "write")
        for kind in ("runs", "inputStreams")
    )
    return Principal(here, scopes=scopes, run_token=given)


async def _within_scopes(
    server: Server, rule: Rule, caller: Principal, request: Request
) -> Principal:
    """Refuse a caller whose scopes do not reach what the path names."""
    if caller.scopes is None or rule.is_asked_later:
        return caller
    need = rule.need
    if need is None:
        raise PermissionDeniedError(
            "This endpoint does not support restricted API keys", status=403, code="unauthorized"
        )
    groups = await server.units.read(_resources, caller.environment, need, request)
    if not any(all(caller.allows(need.action, [one]) for one in group) for group in groups):
        named = "" if need.is_packet else _subject(need, request).partition(",")[0]
        scope = ":".join(filter(None, (need.action, need.type, named)))
        raise forbidden(f"no scope of the credential allows it: {scope} would")
    return caller


def _subject(need: Need, request: Request) -> str:
    """Return what the path or the query says that is asked for."""
    name = need.parameter
    if name is None:
        return ""
    return str(request.path_params.get(name) or request.query_params.get(name, ""))


def _resources(u: Unit, found: EnvironmentRow, need: Need, request: Request) -> Groups:
    """Return what a scope may name to reach what is asked for."""
    if need.parameter is None:
        return _collection(need, request)
    subject = _subject(need, request)
    if need.type == "tags":
        some = [[Resource("tags", tag)] for tag in subject.split(",")]
        return [[Resource("runs")], [Resource("tags")], *some]
    if need.is_packet:
        runs = blob.runs_that_have(u, found, subject)
        return [[Resource("runs")], *([way] for run in runs for way in _ways_to(run))]
    ways = [Resource(need.type, subject)]
    if need.type == "batch":
        ways.append(Resource("runs"))
    if need.type == "runs":
        run = u.tx.maybe("run_by_id", RunRow, id=subject, environment_id=found.id)
        ways += _ways_to(run) if run else []
    return [[way] for way in ways]


def _collection(need: Need, request: Request) -> Groups:
    """A list of runs may be reached by all the tasks, or all the tags, that it is narrowed to.

    Every run is of some task: who may read all of those may read the whole list.
    """
    groups = [[Resource(need.type)]]
    if need.is_narrowed:
        groups.append([Resource("tasks")])
        for kind, name in (("tasks", "filter[taskIdentifier]"), ("tags", "filter[tag]")):
            given = query_list.parts(request, name)
            groups += [[Resource(kind, one) for one in given]] if given else []
    return groups


def _ways_to(run: RunRow) -> list[Resource]:
    """A run is reached by its task, its tags and its batch too."""
    tags: list[str] = json.loads(run.tags) if run.tags else []
    batch = [Resource("batch", run.batch_id)] if run.batch_id else []
    by_tags = (Resource("tags", tag) for tag in tags)
    return [Resource("runs", run.id), Resource("tasks", run.task), *by_tags, *batch]


async def _by_worker_token(server: Server, rule: Rule, asked: _Asked) -> Principal:
    found = None
    if Credential.WORKER_TOKEN in rule.takes and asked.token.startswith("tr_wgt_"):
        found = await server.units.read(worker_group.by_token, asked.token)
    if found is None:
        raise AuthenticationError("Invalid or missing worker token", status=401)
    return Principal(worker_group=found)


async def _by_token(server: Server, rule: Rule, asked: _Asked) -> Principal:
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
    if rule.is_admins and not await server.units.read(_is_admin, row.user_id):
        raise forbidden()
    if asked.home is not None:
        return await _in_organization(server, rule, asked.home, caller, row)
    return caller if asked.ref is None else await _in_project(server, rule, asked, caller, row)


def _is_admin(u: Unit, user_id: str | None) -> bool:
    found = user.by_id(u, user_id) if user_id else None
    return found is not None and bool(found.is_admin)


async def _in_organization(
    server: Server, rule: Rule, ref: str, caller: Principal, row: AccessTokenRow
) -> Principal:
    named, role = await server.units.read(_standing_in_organization, row, ref)
    if role < rule.role:
        raise forbidden()
    return replace(caller, organization=named, role=role)


async def _in_project(
    server: Server, rule: Rule, asked: _Asked, caller: Principal, row: AccessTokenRow
) -> Principal:
    """Put a caller into the project, and the environment, that the path names."""
    named, role = await server.units.read(_standing, row, asked.ref or "")
    if role < rule.least_role(asked.word):
        raise forbidden()
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
    role = None if named is None else _role(u, row, named.organization_id)
    if named is None or role is None:
        raise _no_project(ref)
    return named, role


def _standing_in_organization(
    u: Unit, row: AccessTokenRow, ref: str
) -> tuple[OrganizationRow, Role]:
    named = organization.find(u, ref)
    role = None if named is None else _role(u, row, named.id)
    if named is None or role is None:
        raise NotFoundError("Organization not found", status=404, code="ORGANIZATION_NOT_FOUND")
    return named, role


def _role(u: Unit, row: AccessTokenRow, organization_id: str) -> Role | None:
    if row.user_id is not None:
        return organization.role_of(u, organization_id, row.user_id)
    return Role[row.role] if row.role and row.organization_id == organization_id else None


def _named(u: Unit, named: ProjectRow, asked: _Asked, user_id: str | None) -> EnvironmentRow | None:
    """Return the environment that a path names; ``dev`` is the caller's own, an organisation has none."""
    word = asked.word or ""
    if word != "dev":
        found = environment.find_shared(u, named, word)
    else:
        found = environment.find_developers(u, named, user_id) if user_id else None
    if found is None or found.archived_at is not None:
        return None
    return _at(u, found, asked.branch)


def _made(u: Unit, named: ProjectRow, asked: _Asked, user_id: str | None) -> EnvironmentRow | None:
    if asked.word != "dev":
        return environment.shared(u, named, asked.word or "")
    return environment.of_developer(u, named, user_id) if user_id else None


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
