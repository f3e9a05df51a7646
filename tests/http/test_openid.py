"""Logging in with an OpenID provider: a real one, on this machine, that can be made to lie."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from support import postgres
from support.http import Platform, serving
from support.login import PASSWORD, give_passwords
from support.openid import CLIENT, SECRET, Provider, fresh_key, providing
from support.server import Started
from support.tenants import Tenant, settle
from trigger_core.clock import VirtualClock
from trigger_core.errors import UsageError
from trigger_platform.engine import user
from trigger_platform.http import setup_link
from trigger_platform.settings import Settings
from trigger_platform.store.rows import UserRow

ANNA: dict[str, Any] = {
    "sub": "248289761001",
    "email": "anna@corp.example",
    "email_verified": True,
    "name": "Anna",
}


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    is_postgres = request.param == "postgres"
    return postgres.emptied_database() if is_postgres else str(tmp_path / "t.db")


@pytest.fixture
async def site() -> AsyncIterator[tuple[Platform, Provider]]:
    with providing(lambda: VirtualClock().now() / 1000) as provider:
        provider.person = dict(ANNA)
        async with serving(**_settings(provider)) as platform:
            del platform.http.headers["authorization"]
            yield platform, provider


def _settings(provider: Provider, **more: Any) -> dict[str, Any]:
    return {
        "login": True,
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_allowed_domains": "corp.example",
        "outbound_allow": "127.0.0.1",
    } | more


async def _leave(platform: Platform, place: str = "/environments") -> str:
    """Go to the provider; return the address that leads back."""
    sent = await platform.http.get("/login/oidc", params={"next": place})
    assert sent.status_code == 303, sent.text
    async with httpx.AsyncClient() as browser:
        agreed = await browser.get(sent.headers["location"])
    return agreed.headers["location"]


async def _log_in(platform: Platform, place: str = "/environments") -> httpx.Response:
    return await platform.http.get(await _leave(platform, place))


async def _user(platform: Platform, email: str = "anna@corp.example") -> UserRow | None:
    return await platform.server.units.read(user.by_email, email)


async def _is_out(platform: Platform) -> bool:
    return (await platform.http.get("/environments")).status_code == 303


def test_a_browser_logs_in_through_two_real_servers(tmp_path: Path) -> None:
    """The whole way over HTTP: the button, the provider, back, and the page that was asked for."""
    with providing(time.time) as provider:
        provider.person = dict(ANNA)
        env = {
            "TRIGGER_OIDC_ISSUER": provider.issuer,
            "TRIGGER_OIDC_CLIENT_ID": CLIENT,
            "TRIGGER_OIDC_CLIENT_SECRET": SECRET,
            "TRIGGER_OIDC_ALLOWED_DOMAINS": "corp.example",
            "TRIGGER_OUTBOUND_ALLOW": "127.0.0.1/32",
        }
        started = Started(tmp_path / "t.db", env=env)
        try:
            with httpx.Client(base_url=started.ready["url"], follow_redirects=True) as browser:
                page = browser.get("/environments")
                assert 'href="/login/oidc?next=/environments"' in page.text
                arrived = browser.get("/login/oidc?next=/environments")
                assert (arrived.url.path, arrived.status_code) == ("/environments", 200)
                assert "/authorize" in provider.asked
        finally:
            started.end()


async def test_a_person_is_known_by_the_subject(address: str) -> None:
    """Another address later is the same user; the address in other hands is not."""
    with providing(lambda: VirtualClock().now() / 1000) as provider:
        async with serving(address, **_settings(provider)) as platform:
            del platform.http.headers["authorization"]
            provider.person = dict(ANNA)
            done = await _log_in(platform)
            assert (done.status_code, done.headers["location"]) == (303, "/environments")
            anna = await _user(platform)
            assert anna is not None
            assert (anna.name, anna.external_id) == ("Anna", f"{provider.issuer} {ANNA['sub']}")
            assert not await _is_out(platform)

            provider.person = ANNA | {"email": "married@elsewhere.example"}
            assert (await _log_in(platform)).status_code == 303
            assert await _user(platform, "married@elsewhere.example") is None

            platform.http.cookies.clear()
            provider.person = ANNA | {"sub": "another"}
            refused = await _log_in(platform)
            assert refused.status_code == 403
            assert "somebody else here" in refused.text
            assert await _is_out(platform)


async def test_who_is_not_invited_does_not_get_in(site: tuple[Platform, Provider]) -> None:
    """Unless the domain is one of the setting; a domain that merely ends alike is another."""
    platform, provider = site
    for email in ("eve@elsewhere.example", "eve@evilcorp.example", "eve@corp.example.evil.example"):
        provider.person = ANNA | {"email": email}
        assert (await _log_in(platform)).status_code == 403
        assert await _user(platform, email) is None
    assert await _is_out(platform)


async def _tenant_with_passwords(platform: Platform) -> Tenant:
    tenant = await settle(platform, "acme")
    await give_passwords(platform, tenant)
    return tenant


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes"])
async def test_an_unverified_address_opens_no_account(
    site: tuple[Platform, Provider], verified: object
) -> None:
    """Neither one that is there, nor a new one of an allowed domain."""
    platform, provider = site
    await _tenant_with_passwords(platform)
    for email in ("owner@acme.example", "new@corp.example"):
        provider.person = ANNA | {"email": email, "email_verified": verified}
        refused = await _log_in(platform)
        assert refused.status_code == 403
        assert "verified" in refused.text
    owner = await _user(platform, "owner@acme.example")
    assert owner is not None
    assert owner.external_id is None
    assert await _user(platform, "new@corp.example") is None
    assert await _is_out(platform)


async def test_a_member_logs_in_whatever_the_domain(site: tuple[Platform, Provider]) -> None:
    """With a verified address, which the provider may tell only when it is asked."""
    platform, provider = site
    await settle(platform, "acme")
    provider.person = ANNA | {"email": "Owner@acme.example"}
    provider.tells_later = True

    assert (await _log_in(platform)).status_code == 303
    assert "acme&#39;s" in (await platform.http.get("/environments")).text
    assert "/userinfo" in provider.asked


async def test_an_account_with_a_password_is_linked_by_who_knows_it(
    site: tuple[Platform, Provider],
) -> None:
    """It may have been made by anybody in the name of the address; once linked, the provider will do."""
    platform, provider = site
    await _tenant_with_passwords(platform)
    provider.person = ANNA | {"email": "owner@acme.example"}
    refused = await _log_in(platform)
    owner = await _user(platform, "owner@acme.example")
    assert (refused.status_code, "has a password here" in refused.text) == (403, True)
    assert owner is not None
    assert owner.external_id is None
    assert await _is_out(platform)

    form = {"email": "owner@acme.example", "password": PASSWORD, "csrf": ""}
    assert (await platform.http.post("/login", data=form)).status_code == 303
    assert (await _log_in(platform)).status_code == 303
    platform.http.cookies.clear()
    assert (await _log_in(platform)).status_code == 303
    assert not await _is_out(platform)


async def test_who_logs_in_at_the_provider_needs_no_first_password(
    site: tuple[Platform, Provider],
) -> None:
    """The link to choose one is good no more."""
    platform, _ = site
    units = platform.server.units
    invited = await units.write(user.create, "anna@corp.example")
    link = setup_link.address(units.keys, "", units.clock.now(), invited.id)
    assert (await platform.http.get(link)).status_code == 200
    assert (await _log_in(platform)).status_code == 303
    assert (await platform.http.get(link)).status_code == 404


async def test_a_wrong_state_and_another_browser_do_not_get_in(
    site: tuple[Platform, Provider],
) -> None:
    """And the provider is not even asked."""
    platform, provider = site
    back = httpx.URL(await _leave(platform))
    asked = len(provider.asked)
    for wrong in (back.copy_set_param("state", "x"), back.copy_remove_param("state")):
        cookies = dict(platform.http.cookies)
        assert (await platform.http.get(wrong)).status_code == 401
        platform.http.cookies.update(cookies)
    platform.http.cookies.clear()
    assert (await platform.http.get(back)).status_code == 401
    platform.http.cookies.set("trigger_login", "00ff")
    assert (await platform.http.get(back)).status_code == 401
    assert len(provider.asked) == asked
    assert await _is_out(platform)


async def test_an_attempt_ends_after_ten_minutes(site: tuple[Platform, Provider]) -> None:
    """Whatever the browser still keeps."""
    platform, _ = site
    back = await _leave(platform)
    platform.clock.advance(10 * 60_000)
    assert (await platform.http.get(back)).status_code == 401


@pytest.mark.parametrize("is_lax", [False, True])
async def test_a_code_is_good_once(site: tuple[Platform, Provider], *, is_lax: bool) -> None:
    """Even at a provider that does not look."""
    platform, provider = site
    provider.is_lax = is_lax
    back = await _leave(platform)
    kept = dict(platform.http.cookies)
    assert (await platform.http.get(back)).status_code == 303
    platform.http.cookies.clear()
    platform.http.cookies.update(kept)
    assert (await platform.http.get(back)).status_code == 401
    assert await _is_out(platform)


async def test_a_stolen_code_is_of_no_use_in_another_attempt(
    site: tuple[Platform, Provider],
) -> None:
    """The provider misses the verifier of the attempt that the code is of."""
    platform, _ = site
    stolen = httpx.URL(await _leave(platform)).params["code"]
    own = httpx.URL(await _leave(platform)).copy_set_param("code", stolen)
    refused = await platform.http.get(own)
    assert refused.status_code == 401
    assert "invalid_grant" in refused.text


_NOW = VirtualClock().now() // 1000


@pytest.mark.parametrize(
    ("twist", "said"),
    [
        ({"nonce": "another"}, "another login"),
        ({"nonce": ""}, "another login"),
        ({"aud": "another"}, "Audience"),
        ({"aud": [CLIENT, "another"]}, "another client"),
        ({"azp": "another"}, "another client"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"exp": _NOW - 61}, "expired"),
        ({"nbf": _NOW + 120}, "expired"),
        ({"exp": "soon"}, "none"),
        ({"exp": None}, "exp"),
        ({"sub": None}, "sub"),
    ],
)
async def test_a_token_that_is_not_for_this_login_is_refused(
    site: tuple[Platform, Provider], twist: dict[str, Any], said: str
) -> None:
    """Though the provider itself has signed it."""
    platform, provider = site
    provider.twist = twist
    refused = await _log_in(platform)
    assert refused.status_code == 401
    assert said in refused.text
    assert await _user(platform) is None


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512", "PS256"])
async def test_other_signatures_are_refused(
    site: tuple[Platform, Provider], algorithm: str
) -> None:
    """First of all none."""
    platform, provider = site
    provider.algorithm = algorithm
    assert (await _log_in(platform)).status_code == 401
    assert await _user(platform) is None


async def test_a_key_that_the_provider_does_not_show_signs_nothing(
    site: tuple[Platform, Provider],
) -> None:
    """Until it shows it: keys may change between two logins."""
    platform, provider = site
    provider.shown, provider.key = provider.key, fresh_key()
    assert (await _log_in(platform)).status_code == 401
    provider.shown = None
    assert (await _log_in(platform)).status_code == 303


async def test_a_provider_that_calls_itself_otherwise_is_not_asked_further(
    site: tuple[Platform, Provider],
) -> None:
    """The page says so, and no browser is sent anywhere."""
    platform, provider = site
    provider.discovery["issuer"] = "https://evil.example"
    refused = await platform.http.get("/login/oidc")
    assert refused.status_code == 401
    assert "calls itself https://evil.example" in refused.text


async def test_a_person_who_does_not_agree_is_told_so(site: tuple[Platform, Provider]) -> None:
    """What the provider says is shown as text."""
    platform, _ = site
    back = httpx.URL(await _leave(platform)).copy_remove_param("code")
    refused = await platform.http.get(back.copy_set_param("error", "<b>access_denied"))
    assert refused.status_code == 401
    assert "&lt;b&gt;access_denied" in refused.text


async def test_a_provider_in_a_private_network_must_be_allowed() -> None:
    """The server sends no request to an address that is not public otherwise."""
    with providing(time.time) as provider:
        async with serving(**_settings(provider, outbound_allow="")) as platform:
            refused = await platform.http.get("/login/oidc")
    assert refused.status_code == 400
    assert "is not asked" in refused.text
    assert provider.asked == []


async def test_without_the_setting_there_is_no_button_and_no_route() -> None:
    """As before."""
    async with serving(login=True) as platform:
        assert "/login/oidc" not in (await platform.http.get("/login")).text
        assert (await platform.http.get("/login/oidc")).status_code == 404
        assert (await platform.http.get("/login/oidc/callback")).status_code == 404


async def test_half_of_the_settings_are_refused() -> None:
    """Before anybody stands in front of a button that does nothing."""
    with pytest.raises(UsageError, match="belong together"):
        async with serving(login=True, oidc_issuer="https://accounts.example"):
            pass


@pytest.mark.parametrize("issuer", ["http://idp.example", "idp.example", "https://x.example?a=b"])
def test_an_issuer_is_an_address_of_https(issuer: str) -> None:
    """But on this machine."""
    with pytest.raises(ValidationError, match="it must look like"):
        Settings(oidc_issuer=issuer)
