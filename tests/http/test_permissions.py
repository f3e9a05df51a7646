"""The permission matrix, for every route and every credential, and the wall between tenants."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.requests import Request

from support import postgres
from support.http import Platform, serving
from support.tenants import Tenant, bearer, settle
from trigger_core import ids
from trigger_core.errors import TriggerError
from trigger_core.jwt import sign
from trigger_platform.app import ENDPOINTS
from trigger_platform.engine import export_proof, worker_group
from trigger_platform.engine.export_proof import ExportProof
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http.access import Credential, Rule
from trigger_platform.http.auth import identify
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.store.sqlite import DIALECT
from trigger_platform.store.statements import migrations

GUARDED = [
    one
    for one in ENDPOINTS
    if one.access.value.takes
    and not one.access.value.takes & {Credential.BROWSER, Credential.METRICS_TOKEN}
]
TABLES = set(re.findall(r"create table (\w+)", "".join(text for _, text in migrations(DIALECT))))
TABLES.remove("outbox")
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


@dataclass(frozen=True)
class Caller:
    """Somebody with a credential, and what the matrix says of him."""

    name: str
    token: str
    kind: Credential | None
    role: Role | None = None
    scopes: tuple[str, ...] | None = None
    is_stranger: bool = False
    is_admin: bool = False

    def expected(self, one: Endpoint) -> set[int]:
        """Return the statuses of a refusal; empty when he gets in."""
        rule: Rule = one.access.value
        if self.kind not in rule.takes:
            return {401}
        is_other_run = self.kind is Credential.RUN_TOKEN and self.is_stranger
        if is_other_run or (rule.is_admins and not self.is_admin):
            return {403}
        if self.scopes is not None:
            return self._by_scopes(rule)
        names = set(_PARAMETER.findall(one.path)) & {"project_ref", "organization"}
        if not names:
            return set()
        if self.is_stranger:
            return {404}
        return {403} if self.role is not None and self.role < rule.role else set()

    def _by_scopes(self, rule: Rule) -> set[int]:
        if rule.is_asked_later:
            return set()
        need, given = rule.need, self.scopes or ()
        if need is None:
            return {403}
        allowed = "admin" in given or f"{need.action}:{need.type}" in given
        by_runs = need.type in {"batch", "tags"} and f"{need.action}:runs" in given
        return set() if allowed or by_runs else {403}


def _callers(
    platform: Platform, acme: Tenant, other: Tenant, extra: dict[str, str]
) -> list[Caller]:
    key, user = Credential.KEY, Credential.USER_TOKEN
    now = platform.clock.now()

    def public(*scopes: str) -> str:
        claims = {"sub": acme.production.id, "pub": True, "scopes": list(scopes)}
        return sign(claims, acme.root, now_ms=now, life_ms=60_000)

    forged = sign({"sub": acme.production.id, "pub": True}, "x" * 40, now_ms=now, life_ms=60_000)
    readers = ("read:runs",)
    for_run = ExportProof(acme.production.id, "run_x", "worker_x", now + 1_000)
    proof = export_proof.written(platform.server.units.keys, acme.production, for_run)
    return [
        Caller("nobody", "", None),
        Caller("a wrong key", "tr_prod_wrong", None),
        Caller("a wrong token", "tr_pat_wrong", None),
        Caller("a wrong worker token", "tr_wgt_wrong", None),
        Caller("a forged public token", forged, None),
        Caller("the root key", acme.root, key),
        Caller("an unrestricted key", acme.unrestricted, key),
        Caller("a restricted key", acme.restricted, key, scopes=readers),
        Caller("another tenant's root key", other.root, key, is_stranger=True),
        Caller(
            "a public token for all", public("admin"), Credential.PUBLIC_TOKEN, scopes=("admin",)
        ),
        Caller("a public token", public(*readers), Credential.PUBLIC_TOKEN, scopes=readers),
        *(Caller(role.name, acme.tokens[role], user, role) for role in Role),
        Caller("another tenant's owner", other.tokens[Role.OWNER], user, is_stranger=True),
        Caller("an admin of the server", extra["admin"], user, is_stranger=True, is_admin=True),
        Caller(
            "the organisation",
            acme.organization_token,
            Credential.ORGANIZATION_TOKEN,
            Role.DEVELOPER,
        ),
        Caller(
            "another organisation",
            other.organization_token,
            Credential.ORGANIZATION_TOKEN,
            is_stranger=True,
        ),
        Caller("a worker group", extra["group"], Credential.WORKER_TOKEN),
        Caller("the run", extra["run"], Credential.RUN_TOKEN),
        Caller("another run", extra["sibling"], Credential.RUN_TOKEN, is_stranger=True),
        Caller("another tenant's run", extra["foreign"], Credential.RUN_TOKEN, is_stranger=True),
        Caller("a run that ended", extra["ended"], None),
        Caller("a forged run", extra["run"][:-8] + "AAAAAAAA", None),
        Caller("a forged proof", proof[:-1] + "9", None),
        Caller("a deployed run", proof, Credential.EXPORT_PROOF),
    ]


@dataclass
class Stage:
    """A platform with two tenants and every kind of caller."""

    platform: Platform
    acme: Tenant
    other: Tenant
    callers: list[Caller]


@pytest.fixture
async def stage(platform: Platform) -> Stage:
    acme, other = await settle(platform, "acme"), await settle(platform, "other")
    chief = await settle(platform, "chief")

    def work(u: Unit) -> str:
        u.tx.run("user_admin", id=chief.users[Role.OWNER], is_admin=1)
        return worker_group.create(u, "group").token

    extra = {"group": await platform.server.units.write(work), "admin": chief.tokens[Role.OWNER]}
    extra["run"], extra["sibling"], extra["ended"] = await _run_tokens(platform, acme)
    extra["foreign"], *_ = await _run_tokens(platform, other)
    return Stage(platform, acme, other, _callers(platform, acme, other, extra))


async def _run_tokens(platform: Platform, tenant: Tenant) -> list[str]:
    """Let a worker hold two runs, and one that it ends; return their tokens."""
    http, own = platform.http, bearer(tenant.root)

    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await http.post(path, json=body, headers=own)
        assert answer.is_success, answer.text
        return dict(answer.json())

    version = REGISTRATION["metadata"] | {"tasks": [{"id": "task", "filePath": "a.py"}]}
    registration = REGISTRATION | {"metadata": version}
    worker = await post(f"{tenant.path}/background-workers", registration)
    await post("/engine/v1/worker/connect", {"instance": "one", "bootId": tenant.home.id})
    await post("/api/v1/tasks/batch", {"items": [{"task": "task"}] * 3})
    poll = {"bootId": tenant.home.id, "workers": [worker["id"]], "limit": 3, "waitMs": 0}
    polled = await post("/engine/v1/worker/poll", poll)
    last = polled["runs"][-1]
    done = {"runId": last["runId"], "lease": last["lease"], "ok": True}
    await post("/engine/v1/worker/report", {"bootId": tenant.home.id, "completions": [done]})
    tenant.things["run_id"] = polled["runs"][0]["runId"]
    return [polled["runTokens"][one["runId"]] for one in polled["runs"]]


def _filled(one: Endpoint, values: dict[str, str]) -> str:
    return _PARAMETER.sub(lambda match: values.get(match[1], "x"), one.path)


@pytest.mark.parametrize("one", GUARDED, ids=lambda one: f"{one.method} {one.path}")
async def test_a_route_takes_who_the_matrix_says_and_nobody_else(
    stage: Stage, one: Endpoint
) -> None:
    """Those who are refused are refused at the door; for the others the gate opens."""
    values = {
        "project_ref": stage.acme.project.ref,
        "env": "prod",
        "target": "self",
        "organization": stage.acme.home.id,
        "run_id": stage.acme.things["run_id"],
    }
    for caller in stage.callers:
        expected = caller.expected(one)
        values["proof"] = caller.token or "x"
        if expected:
            path = _filled(one, values)
            answer = await stage.platform.http.request(
                one.method, path, headers=bearer(caller.token)
            )
            assert answer.status_code in expected, (caller.name, answer.text)
        else:
            assert await _gate(stage, one, values, caller) is None, caller.name


async def _gate(
    stage: Stage, one: Endpoint, values: dict[str, str], caller: Caller
) -> TriggerError | None:
    """Ask the gate alone: what is behind it may be the end of the tenant."""
    parameters = {name: values.get(name, "x") for name in _PARAMETER.findall(one.path)}
    headers = [(b"authorization", f"Bearer {caller.token}".encode())]
    request = Request(
        {
            "type": "http",
            "method": one.method,
            "path": one.path,
            "headers": headers,
            "query_string": b"",
            "path_params": parameters,
        }
    )
    try:
        await identify(stage.platform.server, one.access, request)
    except TriggerError as error:
        return error
    return None


def test_a_route_for_anybody_is_one_of_these() -> None:
    """Whoever adds one says so here."""
    assert {one.path for one in ENDPOINTS if not one.access.value.takes} == OPEN


OPEN = {
    "/api/v1/remote-build-provider-status",
    "/blobs/{environment_id}/{name:path}",
    "/healthz",
    "/login",
    "/login/oidc",
    "/login/oidc/callback",
    "/setup/{link}",
    "/api/v1/authorization-code",
    "/api/v1/token",
    "/readyz",
    "/otel/v1/traces",
    "/otel/v1/logs",
    "/otel/v1/metrics",
    "/api/v1/timezones",
    "/api/v1/waitpoints/tokens/{token_id}/callback/{hash}",
}

REGISTRATION = {
    "localOnly": True,
    "metadata": {"packageVersion": "0", "contentHash": "x", "tasks": []},
}
BODIES: dict[str, dict[str, Any]] = {
    "AddTags": {"tags": ["t"]},
    "Reschedule": {"delay": "1h"},
    "ResetKey": {"taskIdentifier": "theirs"},
    "PauseQueue": {"action": "pause"},
    "OverrideQueue": {"concurrencyLimit": 1},
    "WaitFor": {"date": "2030-01-01T00:00:00Z"},
    "UpdateSchedule": {"task": "theirs", "cron": "0 * * * *"},
    "CreateAccessToken": {"name": "n"},
    "CreateOrganizationToken": {"name": "n"},
    "CreateEnvironmentKey": {"name": "n"},
    "CreateProject": {"name": "n"},
    "AddMember": {"email": "e@example.com"},
    "SetRole": {"role": "VIEWER"},
    "UpsertBranch": {"env": "preview", "branch": "b"},
    "ArchiveBranch": {"env": "preview", "branch": "b"},
    "AwaitInput": {"streamId": "s"},
    "MetadataUpdate": {"metadata": {"stolen": True}},
    "RegisterWorker": REGISTRATION,
    "IndexDeployment": REGISTRATION,
    "CreateVariable": {"name": "STOLEN", "value": "v"},
    "UpdateVariable": {"value": "v"},
    "ImportVariables": {"variables": {"STOLEN": "v"}},
    "CompleteAttempt": {"completion": {"ok": True, "id": "x"}},
    "DebugLog": {"time": 0, "message": "m"},
    "FailDeployment": {"error": {"name": "n", "message": "m"}},
}
"""Bodies that the routes would take; a model that is not listed has nothing that is required."""

KEEPS_NOTHING = {"/engine/v1/dev/runs/{run_id}/logs/debug"}
"""Routes that look at nothing and keep nothing, whatever the path names."""

NAMES_ARE_NO_IDS = {"task_id", "hash", "target", "name", "proof", "field"}
"""Parameters by which no tenant can mean what is another's."""


@pytest.fixture(params=["sqlite", "postgres"])
async def walled(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Stage]:

    is_postgres = request.param == "postgres"
    address = postgres.emptied_database() if is_postgres else str(tmp_path / "t.db")
    async with serving(address) as platform:
        acme, other = await settle(platform, "acme"), await settle(platform, "other")
        await _fill(platform, other)
        yield Stage(platform, acme, other, [])


async def _fill(platform: Platform, tenant: Tenant) -> None:
    """Give a tenant one of everything that has an id."""
    http, own, things = platform.http, bearer(tenant.root), tenant.things

    async def post(path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        answer = await http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return dict(answer.json())

    tasks = [{"id": "theirs", "filePath": "a.py", "triggerSource": "schedule"}]
    version = {"packageVersion": "0", "contentHash": "x", "tasks": tasks}
    registration = {"localOnly": True, "metadata": version}
    await post(f"{tenant.path}/background-workers", registration, own)
    batch = await post("/api/v1/tasks/batch", {"items": [{"task": "theirs"}]}, own)
    delayed = {"options": {"delay": "1d", "idempotencyKey": "theirs"}}
    things["run_id"] = (await post("/api/v1/tasks/theirs/trigger", delayed, own))["id"]
    things["batch_id"] = batch["id"]
    things["token_id"] = (await post("/api/v1/waitpoints/tokens", {}, own))["id"]
    schedule = {"task": "theirs", "cron": "0 * * * *", "deduplicationKey": "theirs"}
    things["schedule"] = (await post("/api/v1/schedules", schedule, own))["id"]
    bulk = {"action": "cancel", "runIds": [batch["runs"][0]["id"]]}
    things["bulk_action_id"] = (await post("/api/v1/bulk-actions", bulk, own))["id"]
    deployment = await post("/api/v1/deployments", {"contentHash": "x"}, own)
    things["deployment_id"], things["version"] = deployment["id"], deployment["version"]
    queues = await http.get("/api/v1/queues", headers=own)
    things["queue"] = queues.json()["data"][0]["id"]
    token = await post("/api/v1/access-tokens", {"name": "n"}, tenant.owner)
    things |= {
        "key": "theirs",
        "id": token["id"],
        "user_id": tenant.users[Role.VIEWER],
        "project_ref": tenant.project.ref,
        "organization": tenant.home.id,
        "env": "prod",
        "target": "self",
        "tag": "current",
        "snapshot_id": ids.snapshot_id(things["run_id"], 1),
        "span_id": "0123456789abcdef",
    }


async def test_nobody_reaches_what_is_another_tenants(walled: Stage) -> None:
    """Whatever the route, with the other's ids it answers 404 and changes nothing."""
    stage = walled
    acme, things = stage.acme, stage.other.things
    for token in (acme.root, *acme.tokens.values(), acme.organization_token):
        await stage.platform.http.get("/api/v2/whoami", headers=bearer(token))
    before = await _rows(stage)
    asked = 0
    for one in GUARDED:
        names = set(_PARAMETER.findall(one.path)) - NAMES_ARE_NO_IDS
        if not names or one.path in KEEPS_NOTHING:
            continue
        asked += 1
        unknown = names - things.keys()
        assert not unknown, f"{one.path}: this test has no {unknown} of the other tenant"
        for token in _showing(one, acme):
            answer = await _ask(stage, one, things, token)
            assert _is_not_there(answer), (one.method, one.path, answer.status_code, answer.text)

    assert asked > 40
    assert await _rows(stage) == before


async def test_a_worker_of_another_tenant_who_knows_it_all_touches_no_run(walled: Stage) -> None:
    """Not with the boot id, the run's id and its lease; what is waiting for the true worker stays there."""
    stage = walled
    held, token_id = await _working(stage)
    intruder = bearer(stage.acme.root)
    before = await _rows_of_others(stage)
    connect, poll, report = (f"/engine/v1/worker/{name}" for name in ("connect", "poll", "report"))

    async def ask(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await stage.platform.http.post(path, json=body, headers=intruder)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    await ask(connect, {"instance": "mine", "bootId": "b1"})
    assert await ask(poll, {"bootId": "b1", "workers": [], "limit": 0, "waitMs": 0}) == {
        "runs": [],
        "runTokens": {},
        "signals": [],
    }
    for said in _everything_a_worker_says(held, token_id):
        answer = await ask(report, {"bootId": "b1"} | said)
        assert {one["kind"] for one in answer["verdicts"]} <= {"stale"}, said
        assert {one["kind"] for one in answer["signals"]} <= {"stop"}, said
        assert not any(one["ok"] for one in answer["suspensions"]), said
        assert not answer["runs"] + answer["waits"], said
        assert "their secret" not in json.dumps(answer)
        assert await _rows_of_others(stage) == before, said
    await ask(connect, {"instance": "mine", "bootId": "b2"})

    assert await _rows_of_others(stage) == before
    told = {"bootId": "b1", "workers": [], "limit": 0, "waitMs": 0}
    polled = await stage.platform.http.post(poll, json=told, headers=bearer(stage.other.root))
    assert {one["kind"] for one in polled.json()["signals"]} == {"cancel"}


async def _working(stage: Stage) -> tuple[list[dict[str, Any]], str]:
    """Let the other tenant's worker hold runs in many states; return them, and a token that is over."""
    http, own, tenant = stage.platform.http, bearer(stage.other.root), stage.other

    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await http.post(path, json=body, headers=own)
        assert answer.is_success, answer.text
        return dict(answer.json())

    registration = {
        "localOnly": True,
        "metadata": {
            "packageVersion": "0",
            "contentHash": "y",
            "tasks": [{"id": "held", "filePath": "a.py"}],
        },
    }
    worker = await post(f"{tenant.path}/background-workers", registration)
    options = {"maxAttempts": 3}
    for _ in range(6):
        await post("/api/v1/tasks/held/trigger", {"payload": 1, "options": options})
    await post("/engine/v1/worker/connect", {"instance": "true", "bootId": "b1"})
    poll = {"bootId": "b1", "workers": [worker["id"]], "limit": 6, "waitMs": 0}
    runs = (await post("/engine/v1/worker/poll", poll))["runs"]
    marks = [{"runId": one["runId"], "lease": one["lease"]} for one in runs]
    pausing, waiting, canceled, resumed = marks[2:]  # the first has not begun, the second executes
    token = await post("/api/v1/waitpoints/tokens", {})
    await post(f"/api/v1/waitpoints/tokens/{token['id']}/complete", {"data": "their secret"})
    error = {"type": "BUILT_IN_ERROR", "name": "E", "message": "m"}
    said = {
        "started": [mark | {"at": 0} for mark in marks[1:]],
        "waits": [waiting | {"ref": "w", "until": 10**13}],
        "tokens": [resumed | {"ref": "w", "waitpointId": token["id"]}],
        "completions": [pausing | {"ok": False, "error": error, "retry": {"delay": 0}}],
    }
    verdicts = (await post("/engine/v1/worker/report", {"bootId": "b1"} | said))["verdicts"]
    assert [one["kind"] for one in verdicts] == ["retry_now"]
    await post(f"/api/v2/runs/{canceled['runId']}/cancel", {})
    return marks, token["id"]


def _everything_a_worker_says(
    held: list[dict[str, Any]], token_id: str
) -> list[dict[str, list[dict[str, Any]]]]:
    line = {"time": "2026-01-01T00:00:00.000Z", "level": "INFO", "source": "stdout", "attempt": 1}
    error = {"type": "BUILT_IN_ERROR", "name": "E", "message": "m"}
    operation = {"type": "set", "key": "stolen", "value": 1}
    checkpoint = {"kind": "k", "location": "l"}
    said: dict[str, list[dict[str, Any]]] = {
        "logs": [one | {"record": line | {"message": "m"}} for one in held],
        "started": [one | {"at": 0} for one in held],
        "continued": held,
        "metadata": [one | {"number": 1, "refs": ["r"], "operations": [operation]} for one in held],
        "held": [one | {"waiting": [token_id]} for one in held],
        "waits": [one | {"ref": "x", "until": 10**13} for one in held],
        "tokens": [one | {"ref": "x", "waitpointId": token_id} for one in held],
        "triggers": [one | {"ref": "x", "items": [{"task": "stolen"}]} for one in held],
        "givenUp": [one | {"ref": "w"} for one in held],
        "suspended": [one | checkpoint | {"sequence": n} for one in held for n in range(1, 8)],
        "lost": [one | {"reason": "r"} for one in held],
        "retries": held,
    }
    ended: list[dict[str, Any]] = [{"ok": True, "output": "1"}, {"ok": False, "error": error}]
    ends = [{"completions": [one | end for one in held]} for end in ended]
    return [*({name: what} for name, what in said.items()), *ends]


async def _rows_of_others(stage: Stage) -> list[str]:
    """Return every row but those of the intruder's own environment, and when his key was used."""
    mine = stage.acme.production.id
    return [row for row in await _rows(stage) if mine not in row]


async def test_nobody_reaches_into_another_tenant_from_his_own_project(
    walled: Stage,
) -> None:
    """His own project or organisation in the path, and in it the other's ids."""
    stage = walled
    acme, things = stage.acme, dict(stage.other.things)
    await stage.platform.http.get("/api/v2/whoami", headers=acme.owner)
    things |= {"project_ref": acme.project.ref, "organization": acme.home.id}
    before = await _rows(stage)
    places = {"project_ref", "organization"}
    for one in GUARDED:
        names = set(_PARAMETER.findall(one.path)) - NAMES_ARE_NO_IDS
        if not names & places or not names - places - {"env"}:
            continue
        answer = await _ask(stage, one, things, acme.tokens[Role.OWNER])
        assert answer.status_code == 404, (one.method, one.path, answer.text)

    assert await _rows(stage) == before


def _is_not_there(answer: Any) -> bool:
    """A route that answers as a stream says it in the stream."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind == "text/event-stream" and answer.text.startswith("event: error"):
        return "there is no" in answer.text
    return bool(answer.status_code == 404)


def _showing(one: Endpoint, tenant: Tenant) -> list[str]:
    takes = one.access.value.takes
    tokens = [tenant.root] if Credential.KEY in takes else []
    return tokens + ([tenant.tokens[Role.OWNER]] if Credential.USER_TOKEN in takes else [])


async def _ask(stage: Stage, one: Endpoint, things: dict[str, str], token: str) -> Any:
    body = b"" if one.body is None else json.dumps(BODIES.get(one.body.__name__, {})).encode()
    headers = bearer(token)
    if one.path.endswith("/items"):
        headers["content-type"] = "application/x-ndjson"
        body = b'{"index": 0, "task": "stolen"}\n'
    path = _filled(one, things)
    return await stage.platform.http.request(one.method, path, content=body, headers=headers)


async def _rows(stage: Stage) -> list[str]:
    """Return every row, but of the outbox: the platform's own loop empties it."""

    def read(u: Unit) -> list[str]:
        tx: Any = u.tx
        connection = tx.connection if hasattr(tx, "connection") else tx._connection
        return sorted(
            f"{table} {row}"
            for table in TABLES
            for row in connection.execute(f"select * from {table}").fetchall()  # noqa: S608
        )

    return await stage.platform.server.units.read(read)
