"""API keys and tokens: long, told apart by their form, compared in constant time, of no use once stolen."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import postgres
from support.http import Platform, serving
from support.login import PASSWORD, log_in
from support.tenants import Tenant, bearer, settle
from trigger_core import ids
from trigger_platform import passwords
from trigger_platform.engine import additional_key, user, worker_group
from trigger_platform.engine.role import Role
from trigger_platform.http import browser, setup_link
from trigger_platform.store import opening

SERVER = Path(__file__).parents[2] / "src" / "trigger_platform"
FORMS = {
    r"tr_dev_[0-9a-zA-Z]{24}": lambda: ids.secret_key("dev"),
    r"tr_prod_[0-9a-zA-Z]{24}": lambda: ids.secret_key("prod"),
    r"tr_prod_sk_[0-9a-zA-Z]{24}": lambda: ids.additional_key("prod"),
    r"tr_pat_[0-9a-zA-Z]{40}": lambda: ids.access_token("pat"),
    r"tr_oat_[0-9a-zA-Z]{40}": lambda: ids.access_token("oat"),
    r"tr_wgt_[0-9a-zA-Z]{40}": ids.worker_token,
}


@pytest.mark.parametrize("form", FORMS)
def test_api_keys_and_tokens_have_a_form_that_scanners_know(form: str) -> None:
    """A prefix for each kind, and more than 140 bits of chance."""
    made = {FORMS[form]() for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(form, one) for one in made)
    assert len({letter for one in made for letter in one.rpartition("_")[2]}) == 62


_SECRET = re.compile(r"(secret|signature|password|csrf|digest|mac|hash|verifier|nonce)s?\Z")
PUBLIC = {"content_hash"}


def _names(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("file", sorted(SERVER.rglob("*.py")), ids=lambda one: one.name)
def test_api_keys_and_tokens_are_compared_in_constant_time(file: Path) -> None:
    """Where a secret is compared with what somebody sent, it is not by ``==``."""
    where = str(file.relative_to(SERVER))
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            if any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators)):
                continue
            for side in (node.left, *node.comparators):
                name = _names(side)
                is_known = name in PUBLIC or where.startswith("realtime/")
                assert is_known or not _SECRET.search(name), f"{where}:{node.lineno} {name}"


# --- A stolen database -----------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
async def robbed(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Platform, Tenant, list[str]]]:
    """A platform with one of every secret in use, and every value that its database holds."""
    is_postgres = request.param == "postgres"
    address = postgres.emptied_database() if is_postgres else str(tmp_path / "t.db")
    async with serving(address, login=True) as platform:
        del platform.http.headers["authorization"]
        acme, other = await settle(platform, "acme"), await settle(platform, "other")
        write = platform.server.units.write
        kept = await passwords.hash_of(PASSWORD)
        await write(user.set_password, acme.users[Role.OWNER], kept)
        await log_in(platform, "owner@acme.example")
        platform.http.cookies.clear()
        await write(worker_group.create, "group")
        await write(additional_key.create, acme.production, "ci", None)
        http, own = platform.http, bearer(acme.root)
        made = await http.post("/api/v1/tasks/t/trigger", json={}, headers=own)
        await http.post("/api/v1/waitpoints/tokens", json={}, headers=own)
        await http.post("/api/v1/authorization-code")
        await http.post(
            f"/api/v1/orgs/{other.home.id}/members",
            json={"email": "owner@acme.example"},
            headers=other.owner,
        )
        await http.post(f"{acme.path}/prod/regenerate-api-key", headers=acme.owner)
        marked = acme.owner | {"x-trigger-request-idempotency-key": "asked for twice"}
        await http.post("/api/v1/access-tokens", json={"name": "kept"}, headers=marked)
        assert made.status_code == 200
        yield platform, acme, _texts(address)


def _texts(address: str) -> list[str]:
    """Return every text in a database, and the parts of those that have parts."""
    found: set[str] = set()
    with opening.source(address) as opened:
        for table in opened.tables():
            for row in opened.rows(table):
                for value in row:
                    text = str(value)
                    found |= {text, *re.split(r"[\s\"',:{}\[\]]+", text)}
    return sorted(text for text in found if 12 <= len(text) < 500)


def _uses(text: str, run: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Requests that show a text as whatever might let somebody in."""
    cookie = {"headers": {"cookie": f"{browser.COOKIE}={text}"}}
    return [
        ("GET", "/api/v1/runs", {"headers": bearer(text)}),
        ("GET", "/api/v2/whoami", {"headers": bearer(text)}),
        ("GET", "/engine/v1/worker-actions/connect", {"headers": bearer(text)}),
        ("POST", "/engine/v1/worker-actions/connect", {"headers": bearer(text)}),
        ("GET", "/environments", cookie),
        ("POST", "/api/v1/token", {"json": {"authorizationCode": text}}),
        ("GET", f"/setup/{text}", {}),
        ("GET", f"/join/{text}", cookie),
    ]


async def test_api_keys_and_tokens_nothing_in_a_stolen_database_lets_anybody_in(
    robbed: tuple[Platform, Tenant, list[str]],
) -> None:
    """Every text of it is tried as a key, a token, a session, a code and a link."""
    platform, acme, texts = robbed
    assert len(texts) > 100
    opened = []
    for text in texts:
        if not text.isascii() or not text.isprintable() or "/" in text:
            continue
        for method, path, shown in _uses(text, "run_x"):
            answer = await platform.http.request(method, path, **shown)
            if answer.status_code not in {303, 400, 401, 403, 404, 405, 422}:
                opened.append((text, method, path, answer.status_code))
    assert opened == []
    assert (await platform.http.get("/api/v1/runs", headers=bearer(acme.restricted))).is_success
    link = await setup_link.for_first_admin(platform.server)
    assert link is not None
    assert (await platform.http.get(httpx.URL(link).path)).status_code == 200
