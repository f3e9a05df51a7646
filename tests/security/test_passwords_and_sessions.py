"""Passwords and sessions: who guesses has to wait wherever he asks; a session begins anew with each login."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import psycopg
import pytest

from support import postgres
from support.login import PASSWORD, Site, csrf_of, log_in
from support.openid import providing
from trigger_core.errors import ApiError
from trigger_platform.engine import login_attempt
from trigger_platform.http import browser

OWNER = "owner@acme.example"
_QUARTER_MS = 15 * 60_000


async def _guess(site: Site, *numbers: int) -> Counter[int]:
    guesses = [log_in(site.platform, OWNER, f"guess number {n}") for n in numbers]
    return Counter(answer.status_code for answer in await asyncio.gather(*guesses))


async def test_guesses_at_once_are_counted_before_they_are_looked_at(site: Site) -> None:
    """A hundred connections are no way around the limit of five."""
    assert await _guess(site, *range(20)) == {401: 5, 429: 15}
    assert (await log_in(site.platform, OWNER)).status_code == 429

    site.platform.clock.advance(_QUARTER_MS)
    assert (await log_in(site.platform, OWNER)).status_code == 303


async def test_two_processes_count_together(two_processes: tuple[Site, Site]) -> None:
    """They share the database; what it keeps names neither the account nor the address."""
    one, other = two_processes
    first, second = await asyncio.gather(_guess(one, *range(8)), _guess(other, *range(8, 16)))
    assert first + second == {401: 5, 429: 11}

    with psycopg.connect(postgres.shared_database()) as connection:
        kept = str(connection.execute("select * from login_attempt").fetchall())
    assert kept.count("(") == 3
    assert OWNER not in kept
    assert "127.0.0.1" not in kept


async def test_who_guesses_does_not_keep_the_owner_out(site: Site) -> None:
    """The five of one place are no others' failures; and a login that is right counts for nothing."""
    attacker = site.from_address("192.0.2.7")
    for n in range(6):
        await log_in(attacker, OWNER, f"guess number {n}")
    assert (await log_in(attacker, OWNER)).status_code == 429
    for _ in range(8):
        assert (await log_in(site.platform, OWNER)).status_code == 303


async def test_a_network_of_ipv6_is_one_place(site: Site) -> None:
    """Whoever has one address of it has all of them; another network is another place."""
    seen = []
    for n in range(6):
        there = site.from_address(f"2001:db8:0:1::{n:x}")
        seen.append((await log_in(there, OWNER, f"guess number {n}")).status_code)
    assert seen == [401] * 5 + [429]
    assert (await log_in(site.from_address("2001:db8:0:2::1"), OWNER)).status_code == 303
    assert login_attempt.network_of("::ffff:192.0.2.1") == login_attempt.network_of("192.0.2.1")


async def test_guesses_from_everywhere_and_at_everybody_have_an_end(site: Site) -> None:
    """Fifty at one account, and fifty from one place."""
    write = site.platform.server.units.write
    for n in range(50):
        await write(login_attempt.begin, f"192.0.2.{n}", "a@example.com")
        await write(login_attempt.begin, "198.51.100.1", f"{n}@example.com")
    for client, account in (("203.0.113.1", "a@example.com"), ("198.51.100.1", "x@example.com")):
        with pytest.raises(ApiError, match="too many failed logins"):
            await write(login_attempt.begin, client, account)
    await write(login_attempt.begin, "203.0.113.1", "x@example.com")


async def test_coming_back_from_a_provider_in_vain_counts_too() -> None:
    """The provider is asked no more from there."""
    from support.http import serving  # noqa: PLC0415

    with providing(lambda: 0) as provider:
        settings = {
            "login": True,
            "oidc_issuer": provider.issuer,
            "oidc_client_id": "client",
            "outbound_allow": "127.0.0.1/32",
        }
        async with serving(**settings) as platform:
            del platform.http.headers["authorization"]
            for _ in range(50):
                await platform.server.units.write(login_attempt.begin, "127.0.0.1")
            left = await platform.http.get("/login/oidc")
            state = httpx.URL(left.headers["location"]).params["state"]
            asked = len(provider.asked)
            back = await platform.http.get(f"/login/oidc/callback?state={state}&code=guessed")
            assert back.status_code == 429
            assert len(provider.asked) == asked


async def test_a_session_begins_anew_with_each_login(site: Site) -> None:
    """The one before is over, and one that somebody else chose for this browser is never begun."""
    http = site.platform.http
    await log_in(site.platform, OWNER)
    before = http.cookies[browser.COOKIE]
    await log_in(site.platform, OWNER)
    after = http.cookies[browser.COOKIE]
    assert before != after

    for token, status in ((before, 303), ("chosen-by-somebody-else", 303), (after, 200)):
        http.cookies.clear()
        http.cookies.set(browser.COOKIE, token)
        assert (await http.get("/environments")).status_code == status
    http.cookies.clear()
    http.cookies.set(browser.COOKIE, "chosen-by-somebody-else", domain="127.0.0.1")
    answer = await log_in(site.platform, OWNER)
    assert "chosen" not in answer.headers["set-cookie"]


async def test_logging_out_ends_the_session_on_the_server(site: Site) -> None:
    """A copy of the cookie opens nothing either."""
    http = site.platform.http
    await log_in(site.platform, OWNER)
    copy = http.cookies[browser.COOKIE]
    csrf = await csrf_of(site.platform, "/environments")
    await http.post("/logout", data={"csrf": csrf})
    http.cookies.set(browser.COOKIE, copy)
    assert (await http.get("/environments")).status_code == 303


@pytest.mark.parametrize("password", ["", "x" * 5000, "\x00" * 12, PASSWORD.upper()])
async def test_odd_passwords_are_wrong_passwords(site: Site, password: str) -> None:
    """No length and no character makes the server fail, or take another for right."""
    assert (await log_in(site.platform, OWNER, password)).status_code == 401
