"""Clickjacking, headers: nothing can be framed, sniffed or kept. More: ``operation/test_answers.py``."""

from __future__ import annotations

import pytest

from support.http import Platform, serving
from support.login import Site, csrf_of, log_in


async def test_clickjacking_headers_nothing_can_be_framed(platform: Platform) -> None:
    """Neither pages, nor answers of the API, nor what is not there."""
    for path in ("/", "/api/v1/runs", "/nothing"):
        headers = (await platform.http.get(path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


async def test_headers_pages_load_nothing_from_elsewhere(platform: Platform) -> None:
    """The policy names this server alone, and no exception for scripts in a page."""
    policy = (await platform.http.get("/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert {"base-uri 'none'", "form-action 'self'"} <= set(policy.split("; "))


async def test_headers_what_is_shown_once_is_kept_by_no_cache(site: Site) -> None:
    """Pages of who is logged in, and answers with a token or a key in them."""
    http, acme = site.platform.http, site.acme
    await log_in(site.platform, "owner@acme.example")
    for answer in (
        await http.get("/environments"),
        await http.post("/api/v1/access-tokens", json={"name": "n"}, headers=acme.owner),
        await http.post(f"{acme.path}/prod/api-keys", json={"name": "n"}, headers=acme.owner),
        await http.get(f"{acme.path}/prod", headers=acme.owner),
        await http.post("/api/v1/authorization-code"),
    ):
        assert answer.is_success, answer.text
        assert "no-store" in answer.headers["cache-control"], answer.request.url


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_headers_over_tls_a_browser_stays_there(scheme: str) -> None:
    """And is not told so where there is none."""
    async with serving(public_url=f"{scheme}://t.example", login=True) as platform:
        answer = await platform.http.get("/login", headers={"host": "t.example"})
        assert ("strict-transport-security" in answer.headers) is (scheme == "https")


@pytest.mark.parametrize(
    "chosen", ["a\r\nset-cookie: x=y", "a; domain=evil.example", "\x00", "é", "x" * 9000]
)
async def test_headers_nobody_writes_a_cookie_of_his_own(site: Site, chosen: str) -> None:
    """What is chosen on a page is kept only if it can be the name of an environment."""
    await log_in(site.platform, "owner@acme.example")
    form = {"csrf": await csrf_of(site.platform, "/environments"), "environment": chosen}
    answer = await site.platform.http.post("/environments", data=form)
    [cookie] = answer.headers.get_list("set-cookie")
    assert answer.status_code == 303
    assert cookie.startswith('trigger_environment=""; HttpOnly')
    assert "x=y" not in cookie
