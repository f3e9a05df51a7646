"""A browser's forms: logging in, and sending what a page of the platform would."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from support.http import Platform
from support.tenants import Tenant
from trigger_platform import passwords
from trigger_platform.engine import user

__all__ = ["ORIGIN", "PASSWORD", "Site", "csrf_of", "give_passwords", "log_in"]

PASSWORD = "correct horse battery"
ORIGIN = {"origin": "http://127.0.0.1:8030"}
_CSRF = re.compile(r'name="csrf" value="(\w+)"')


@dataclass(frozen=True)
class Site:
    """A platform that one has to log in to, and a tenant whose owner has a password."""

    platform: Platform
    acme: Tenant

    def from_address(self, client: str) -> Platform:
        """Return the platform as a browser at another address sees it."""
        app = self.platform.http._transport.app  # type: ignore[attr-defined]
        transport = httpx.ASGITransport(app, client=(client, 1))
        http = httpx.AsyncClient(transport=transport, base_url=self.platform.http.base_url)
        return Platform(self.platform.server, self.platform.clock, http)


async def give_passwords(platform: Platform, tenant: Tenant) -> None:
    """Let everybody of a tenant log in with :data:`PASSWORD`."""
    kept = await passwords.hash_of(PASSWORD)
    for user_id in tenant.users.values():
        await platform.server.units.write(user.set_password, user_id, kept)


async def log_in(
    platform: Platform, email: str, password: str = PASSWORD, place: str = "/"
) -> httpx.Response:
    """Send the form to log in."""
    form = {"email": email, "password": password, "next": place, "csrf": ""}
    return await platform.http.post("/login", data=form, headers=ORIGIN)


async def csrf_of(platform: Platform, path: str) -> str:
    """Return what the forms of a page carry."""
    found = _CSRF.search((await platform.http.get(path)).text)
    assert found is not None
    return found[1]
