"""Letting a command line in: one code, one token, a page that says who asks, and not too many at once."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx

from support.login import Site, csrf_of, log_in

OWNER = "owner@acme.example"


async def _ask(site: Site, client: str = "127.0.0.1") -> httpx.Response:
    return await site.from_address(client).http.post("/api/v1/authorization-code")


async def _approve(site: Site, url: str) -> None:
    path = httpx.URL(url).path
    csrf = await csrf_of(site.platform, path)
    assert (await site.platform.http.post(path, data={"csrf": csrf})).status_code == 200


async def test_a_code_is_good_for_one_token_whichever_process_is_asked(
    two_processes: tuple[Site, Site],
) -> None:
    """Two that fetch at the same moment get one token between them."""
    one, other = two_processes
    await log_in(one.platform, OWNER)
    for _ in range(4):
        asked = (await _ask(one)).json()
        await _approve(one, asked["url"])
        body = {"authorizationCode": asked["authorizationCode"]}
        fetched = await asyncio.gather(
            *(site.platform.http.post("/api/v1/token", json=body) for site in (one, other) * 2)
        )
        assert Counter(answer.status_code for answer in fetched) == {200: 1, 400: 3}


async def test_the_page_says_where_the_command_line_is(site: Site) -> None:
    """It is what tells a phisher's code from one's own; nothing is approved by looking."""
    await log_in(site.platform, OWNER)
    asked = (await _ask(site, "203.0.113.9")).json()
    page = await site.platform.http.get(httpx.URL(asked["url"]).path)
    fetched = await site.platform.http.post(
        "/api/v1/token", json={"authorizationCode": asked["authorizationCode"]}
    )

    assert "203.0.113.9" in page.text
    assert OWNER in page.text
    assert fetched.json() == {"token": None}


async def test_one_place_does_not_use_up_the_codes_of_all(site: Site) -> None:
    """It is refused long before there are none left for others."""
    answers = [(await _ask(site, f"2001:db8::{n:x}")).status_code for n in range(52)]
    assert answers == [200] * 50 + [429] * 2
    assert (await _ask(site, "192.0.2.1")).status_code == 200


async def test_nobody_approves_without_logging_in_or_with_anothers_form(site: Site) -> None:
    """A page of somebody else cannot press the button."""
    asked = (await _ask(site)).json()
    path = httpx.URL(asked["url"]).path
    assert (await site.platform.http.post(path, data={"csrf": ""})).status_code == 401
    await log_in(site.platform, OWNER)
    for csrf in ("", "0" * 64):
        assert (await site.platform.http.post(path, data={"csrf": csrf})).status_code == 403
    fetched = await site.platform.http.post(
        "/api/v1/token", json={"authorizationCode": asked["authorizationCode"]}
    )
    assert fetched.json() == {"token": None}
