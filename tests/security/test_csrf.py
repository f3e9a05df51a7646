"""CSRF: a form of another page changes nothing, and neither does reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.http import Platform, serving
from support.login import ORIGIN, Site, log_in
from support.routes import filled
from trigger_platform.app import ENDPOINTS
from trigger_platform.http.access import Credential
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.store import opening

NOBODY = {"authorization": ""}


UNSAFE = [
    one for one in ENDPOINTS if Credential.BROWSER in one.access.value.takes and one.method != "GET"
]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_csrf_a_form_of_another_page_changes_nothing(platform: Platform, origin: str) -> None:
    """A browser says where a form comes from."""
    run_id = await platform.trigger("task")
    for one in UNSAFE:
        path = one.path.replace("{run_id}", run_id)
        answer = await platform.http.request(one.method, path, headers={"origin": origin, **NOBODY})
        assert answer.status_code == 403, path
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
                await platform.http.get(filled(one).replace("run_id", run_id))
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


async def test_csrf_every_form_of_who_is_logged_in_carries_a_mark(site: Site) -> None:
    """Even from the right origin: the mark is the session's own."""
    await log_in(site.platform, "owner@acme.example")
    for one in UNSAFE:
        for form in ({"csrf": ""}, {"csrf": "0" * 64}, {}):
            answer = await site.platform.http.post(filled(one), data=form, headers=ORIGIN)
            assert (answer.status_code, answer.json()["code"]) == (403, "FOREIGN_REQUEST"), one.path
        assert (await site.platform.http.get("/environments")).status_code == 200, one.path


@pytest.mark.parametrize("site_word", ["cross-site", "same-site"])
async def test_csrf_a_browser_that_says_where_it_was_is_believed(
    site: Site, site_word: str
) -> None:
    """Logging somebody in from elsewhere is refused as well."""
    form = {"email": "owner@acme.example", "password": "correct horse battery", "csrf": ""}
    headers = {"sec-fetch-site": site_word}
    answer = await site.platform.http.post("/login", data=form, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_csrf_a_cookie_opens_no_route_of_the_api(site: Site) -> None:
    """What a browser adds by itself is nothing there."""
    await log_in(site.platform, "owner@acme.example")
    for one in ENDPOINTS:
        if one.access.value.takes and Credential.BROWSER not in one.access.value.takes:
            answer = await site.platform.http.request(one.method, filled(one))
            assert answer.status_code in {400, 401, 403, 404, 422}, one.path
            if Credential.METRICS_TOKEN not in one.access.value.takes:
                assert answer.status_code == 401, one.path
