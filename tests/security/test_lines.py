"""What a server must withstand, line by line; `docs/security.md` has the same lines with their mechanisms.

Each test is named after its line. What needs more than a test has a suite of its own, named there.
"""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.types import Message

from support import keys
from support.dev import run_cli
from support.http import PROJECT, Platform, serving
from support.login import ORIGIN
from trigger_core.jwt import AUDIENCE, ISSUER
from trigger_platform.app import ENDPOINTS, build
from trigger_platform.engine import project
from trigger_platform.http.access import Access, Credential
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.http.guard import Guard
from trigger_platform.store import opening

SOURCE = Path(__file__).parents[2] / "src"
NOBODY = {"authorization": ""}
PUBLIC_PATHS = sorted({one.path for one in ENDPOINTS if one.access is Access.OPEN})
PROTECTED = "/api/v1/runs"


def _path(one: Endpoint) -> str:
    return one.shown_path.replace("{", "").replace("}", "")


# --- Auth coverage ---------------------------------------------------------------------------------------


async def test_auth_coverage_every_route_is_a_row_of_the_matrix(platform: Platform) -> None:
    """There is no route beside the table but the description and the files of the pages."""
    app = build(platform.server)
    table = {one.path for one in ENDPOINTS}
    beside = {route.path for route in app.routes if route.path not in table}  # type: ignore[attr-defined]

    assert beside <= {"/openapi.json", "/static", "/socket.io"}


VARIANTS = [
    "{protected}{public}", "{public}/..{protected}", "{public}/%2e%2e{protected}", "{protected};{public}",
    "{protected}%2f{public}", "/{protected}", "{protected}//", "{protected}/", "{protected}%3f{public}",
    "{protected}%23{public}", "{public}{protected}", "/.{protected}", "{protected}%00{public}",
]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
async def test_auth_coverage_no_spelling_of_a_path_gets_past_the_key(
    platform: Platform, variant: str
) -> None:
    """Suffixes, prefixes, encoded and doubled slashes, other cases: it is the route that has the rule."""
    for public in PUBLIC_PATHS:
        path = variant.format(protected=PROTECTED, public=public)
        for spelled in (path, path.upper(), path.title()):
            answer = await platform.http.get(spelled, headers=NOBODY, follow_redirects=True)
            assert answer.status_code in {401, 403, 404, 405}, spelled
            assert "pagination" not in answer.text


# --- SSRF ------------------------------------------------------------------------------------------------


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_ssrf_one_module_sends_requests_to_addresses_that_others_chose() -> None:
    """Beside it only the bucket is asked, whose address the operator sets. Suite: operation/test_outbound."""
    clients = {
        "httpx",
        "httpcore",
        "urllib.request",
        "http.client",
        "aiohttp",
        "requests",
        "socket",
    }
    found = {
        str(file.relative_to(SOURCE / "trigger_platform"))
        for file in (SOURCE / "trigger_platform").rglob("*.py")
        if clients & set(_imports(file))
    }
    assert found <= {"outbound.py", "blobs/s3.py", "serving.py"}


# --- RCE by config, deserialisation ----------------------------------------------------------------------


def test_rce_by_config_and_deserialisation_the_server_runs_no_text() -> None:
    """No evaluation, no pickles, no import by a name that came from outside, no shell."""
    names = {"eval", "exec", "compile", "__import__", "import_module"}
    modules = {"pickle", "marshal", "shelve", "yaml", "dill", "subprocess"}
    for file in sorted((SOURCE / "trigger_platform").rglob("*.py")):
        assert not modules & set(_imports(file)), file
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in names, f"{file}:{node.lineno}"


async def test_deserialisation_an_error_is_data_whatever_it_calls_itself(
    platform: Platform,
) -> None:
    """It comes back as it was sent; nothing is looked up by its name."""
    await platform.trigger("task")
    [run] = await platform.work("task")
    mark = {"runId": run["runId"], "lease": run["lease"]}
    await platform.report(started=[mark | {"at": platform.clock.now()}])
    error = {
        "type": "BUILT_IN_ERROR",
        "name": "os.system",
        "message": "!!python/object/apply:os.system ['touch /tmp/pwned']",
        "stackTrace": "__reduce__",
    }
    await platform.report(completions=[mark | {"ok": False, "error": error}])
    shown = (await platform.http.get(f"/api/v3/runs/{run['runId']}")).json()

    assert shown["error"]["name"] == "os.system"
    assert shown["error"]["message"] == error["message"]


# --- Error leakage ---------------------------------------------------------------------------------------


def _break(server: Any) -> None:
    """Take the tables away from under the server."""

    def drop(tx: Any) -> None:
        connection = tx._connection
        found = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        for (name,) in connection.execute(found).fetchall():
            if name not in {"environment", "project", "access_token", "app_user", "member"}:
                connection.execute(f"drop table {name}")

    server.units.db.submit(drop).result()


BODIES: dict[str, Any] = {"payload": 1, "options": {}, "items": [{"task": "t"}], "runCount": 1}


async def test_error_leakage_no_route_shows_what_broke(platform: Platform) -> None:
    """Neither SQL, nor a path of this machine, nor a key, on any route; the number of a log line instead."""
    _break(platform.server)
    broken = 0
    for one in ENDPOINTS:
        if one.path.startswith("/live"):
            continue
        answer = await platform.http.request(one.method, _path(one), json=BODIES)
        text = answer.text.lower()
        assert "no such table" not in text, one.path
        assert "sqlite" not in text, one.path
        assert "traceback" not in text, one.path
        assert str(SOURCE).lower() not in text, one.path
        assert platform.key.lower() not in text, one.path
        broken += answer.status_code in {500, 503}
    assert broken > 10


# --- CSRF, clickjacking, XSS -----------------------------------------------------------------------------


UNSAFE = [
    one for one in ENDPOINTS if Credential.BROWSER in one.access.value.takes and one.method != "GET"
]


@pytest.mark.parametrize("one", UNSAFE, ids=lambda one: one.path)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_csrf_a_form_of_another_page_changes_nothing(
    platform: Platform, one: Endpoint, origin: str
) -> None:
    """A browser says where a form comes from."""
    run_id = await platform.trigger("task")
    path = one.path.replace("{run_id}", run_id)
    answer = await platform.http.request(one.method, path, headers={"origin": origin, **NOBODY})

    assert answer.status_code == 403
    assert (await platform.http.get(f"/api/v3/runs/{run_id}")).json()["status"] == "QUEUED"


async def test_csrf_reading_changes_nothing(tmp_path: Path) -> None:
    """Every route that is read by GET leaves every row as it is."""
    address = str(tmp_path / "p.db")
    async with serving(address) as platform:
        run_id = await platform.trigger("task")
        await _settled(platform)
        before = _rows(address)
        for one in ENDPOINTS:
            if one.method == "GET" and not _is_stream(one):
                await platform.http.get(_path(one).replace("run_id", run_id))
        assert _rows(address) == before


def _is_stream(one: Endpoint) -> bool:
    return any(word in one.path for word in ("live", "follow", "realtime", "streams", "presence"))


async def _settled(platform: Platform) -> None:
    """Let the events be published."""
    async with platform.server.hub.subscribed(platform.server.local.environment.id) as change:
        while await platform.server.units.read(lambda u: u.tx.scalar("health_outbox_count")):
            await change.wait(0.05)


def _rows(address: str) -> dict[str, list[Any]]:
    with opening.source(address) as opened:
        return {table.name: list(opened.rows(table)) for table in opened.tables()}


MARKUP = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'\"><svg/onload=alert(1)>",
    "{{7*7}}{% include '/etc/passwd' %}", "\x1b]8;;javascript:alert(1)\x1b\\x\x1b]8;;\x1b\\",
]  # fmt: skip


@pytest.mark.parametrize("text", MARKUP, ids=range(len(MARKUP)))
async def test_xss_what_users_write_is_shown_as_text(platform: Platform, text: str) -> None:
    """In payloads, tags, metadata, errors and lines; a template in it is not filled in."""
    options = {"tags": [text[:60]], "metadata": {text: text}}
    await platform.trigger("task", {text: text}, **options)
    [run] = await platform.work("task")
    mark = {"runId": run["runId"], "lease": run["lease"]}
    record = {
        "time": "2026-01-01T00:00:00.000Z",
        "level": "INFO",
        "source": "stdout",
        "attempt": 1,
        "message": text,
    }
    await platform.report(
        started=[mark | {"at": platform.clock.now()}],
        logs=[{"runId": run["runId"], "record": record}],
    )
    error = {"type": "BUILT_IN_ERROR", "name": text, "message": text, "stackTrace": text}
    await platform.report(completions=[mark | {"ok": False, "error": error}])
    for path in (f"/runs/{run['runId']}", "/", "/?task=" + "%3Cscript%3E"):
        page = (await platform.http.get(path, headers=NOBODY)).text
        for bad in ("<script>alert", "<img src=x", "<svg/onload", '<script>"', "49{%"):
            assert bad not in page, path


@pytest.mark.parametrize("text", MARKUP, ids=range(len(MARKUP)))
async def test_xss_what_people_fill_in_is_shown_as_text(platform: Platform, text: str) -> None:
    """Names and values in the pages for who runs the server, and what these say when they refuse it."""
    await platform.server.units.write(project.rename, platform.server.local.project, text[:100])
    forms = {
        "/variables": {"name": "A", "value": text},
        "/keys": {"name": text[:100]},
        "/tokens": {"name": text[:100]},
        "/members": {"email": f"{text.replace(' ', '/')}@example.com", "role": "VIEWER"},
    }
    for path, fields in forms.items():
        given = {"csrf": "", **fields}
        sent = await platform.http.post(path, data=given, headers=NOBODY | ORIGIN)
        assert sent.status_code in {200, 303}, (path, sent.text)
        refused = {"csrf": "", "name": text, "scopes": text, "expires_in": text, "role": text}
        wrong = await platform.http.post(path, data=refused, headers=NOBODY | ORIGIN)
        assert wrong.status_code in {400, 422}, path
        page = await platform.http.get(path, headers=NOBODY)
        assert "alert(1)" in page.text or "7*7" in page.text or "javascript:" in page.text
        for shown in (sent.text, wrong.text, page.text):
            for bad in ("<script>alert", "<img src=x", "<svg/onload", '<script>"', "49{%"):
                assert bad not in shown, path


async def test_clickjacking_headers_nothing_can_be_framed(platform: Platform) -> None:
    """Suite: operation/test_answers."""
    for path in ("/", "/api/v1/runs", "/nothing"):
        headers = (await platform.http.get(path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


# --- JWT -------------------------------------------------------------------------------------------------


def _claims(platform: Platform, **change: Any) -> dict[str, Any]:
    now = platform.clock.now() // 1000
    full = {
        "sub": platform.server.local.environment.id, "pub": True, "scopes": ["read:runs"],
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": 4_000_000_000,
    } | change  # fmt: skip
    return {name: value for name, value in full.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "algorithm", "own_key", "status"),
    [
        ({}, "HS256", True, 200),
        ({}, "none", True, 401),
        ({}, "HS384", True, 401),
        ({}, "HS512", True, 401),
        ({}, "HS256", False, 401),
        ({"exp": 1}, "HS256", True, 401),
        ({"exp": None}, "HS256", True, 401),
        ({"exp": float("inf")}, "HS256", True, 401),
        ({"iat": float("nan")}, "HS256", True, 401),
        ({"aud": "https://other.example"}, "HS256", True, 401),
        ({"aud": None}, "HS256", True, 401),
        ({"iss": "https://other.example"}, "HS256", True, 401),
        ({"iss": None}, "HS256", True, 401),
        ({"scopes": []}, "HS256", True, 403),
        ({"scopes": ["write:runs"]}, "HS256", True, 403),
        ({"scopes": ["read:runs:run_other"]}, "HS256", True, 403),
        ({"sub": "other"}, "HS256", True, 401),
    ],
)
async def test_jwt_one_algorithm_and_every_claim(
    platform: Platform, change: dict[str, Any], algorithm: str, own_key: bool, status: int
) -> None:
    """Unsigned, signed by another, expired, for or by somebody else, or with too little."""
    run_id = await platform.trigger("task")
    key = platform.key if own_key else "tr_dev_" + "x" * 24
    with contextlib.suppress(jwt.PyJWTError):
        token = jwt.encode(
            _claims(platform, **change), "" if algorithm == "none" else key, algorithm=algorithm
        )
    headers = {"authorization": f"Bearer {token}"}
    answer = await platform.http.get(f"/api/v3/runs/{run_id}", headers=headers)

    assert answer.status_code == status, answer.text


# --- Localhost dev server --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        ("127.0.0.1:8030", None, True),
        ("127.0.0.1:8030", "http://127.0.0.1:8030", True),
        ("rebound.example:8030", None, False),
        ("rebound.example:8030", "http://rebound.example:8030", False),
        ("127.0.0.1:8030", "https://evil.example", False),
    ],
)
async def test_localhost_dev_server_a_page_of_another_name_gets_nothing(
    kind: str, host: str, origin: str | None, passes: bool
) -> None:
    """Requests and web sockets alike: Host against rebinding, Origin against pages from elsewhere."""
    reached: list[str] = []
    sent: list[Message] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        reached.append(scope["type"])

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    scope = {"type": kind, "headers": headers, "server": ("127.0.0.1", 8030), "path": "/"}
    if kind == "http":
        scope["method"] = "POST"
    await Guard(app)(scope, receive, send)

    assert bool(reached) is passes
    if not passes:
        assert sent[0].get("status", 1008) in {403, 1008}


# --- Rate and size limits, defaults ----------------------------------------------------------------------


async def test_size_limits_every_body_has_one(platform: Platform) -> None:
    """A length beyond all limits is refused by every route that takes a body, before it is read."""
    for one in ENDPOINTS:
        if one.body is not None:
            headers = {"content-length": str(10**12), "content-type": "application/json"}
            answer = await platform.http.request(
                one.method, _path(one), headers=headers, content=b"{}"
            )
            assert answer.status_code in {401, 403, 404, 413}, one.path


@pytest.mark.parametrize("given", ["", "changeme", "0" * 64, "secret"])
def test_defaults_a_public_server_does_not_start_with_a_guessable_secret(
    tmp_path: Path, given: str
) -> None:
    """Suite: operation/test_settings."""
    environ = {"TRIGGER_ENCRYPTION_KEY": given, "TRIGGER_PUBLIC_URL": "https://t.example"}
    start = ("server", "start", "--database", "x.db", "--project", PROJECT, "--host", "0.0.0.0")  # noqa: S104
    shown = run_cli(*start, cwd=tmp_path, env=environ)

    assert shown.returncode == 2
    assert "error UNSAFE_EXPOSURE" in shown.stderr
    assert not given or given not in shown.stderr
    assert not (tmp_path / "x.db").exists()


async def test_secrets_at_rest_the_key_of_an_environment_is_not_in_the_database(
    tmp_path: Path,
) -> None:
    """Suites: tests/secrets."""
    address = str(tmp_path / "p.db")
    async with serving(address) as platform:
        key = platform.key
        platform.server.units.db.submit(lambda _tx: None).result()
    content = b"".join(file.read_bytes() for file in tmp_path.glob("p.db*"))  # noqa: ASYNC240
    assert key.encode() not in content
    assert json.dumps(keys.TEXT).encode() not in content
