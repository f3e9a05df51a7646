"""A server that others reach: by which names, and what it does not show them."""

from __future__ import annotations

import pytest

from support.http import serving
from trigger_platform.app import ENDPOINTS
from trigger_platform.http.access import Credential

PUBLIC = {
    "host": "0.0.0.0",  # noqa: S104
    "public_url": "https://t.example",
    "allowed_hosts": "platform",
    "encryption_key": "q0Xn5vZk3b7Rt1Ww9Yc2Lm8Pd4Gf6HsJq0Xn5vZk3b0=",
}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("t.example", 200),
        ("T.Example", 200),
        ("platform:8030", 200),
        ("127.0.0.1:8030", 200),
        ("evil.example", 403),
        ("t.example.evil", 403),
        ("", 403),
    ],
)
async def test_it_answers_to_its_names_alone(host: str, status: int) -> None:
    """Whoever rebinds a name of their own to its address gets nothing."""
    async with serving(**PUBLIC) as platform:
        answer = await platform.http.get("/api/v1/runs", headers={"host": host})

    assert answer.status_code == status


async def test_it_answers_to_the_address_at_which_it_was_reached() -> None:
    """As probes of load balancers call it; an address is no name that could be rebound."""
    async with serving(**PUBLIC) as platform:
        platform.http.base_url = "http://10.1.2.3:8030"
        assert (await platform.http.get("/healthz")).status_code == 200
        other = await platform.http.get("/healthz", headers={"host": "10.1.2.4:8030"})
        assert other.status_code == 403


async def test_pages_are_for_who_is_logged_in() -> None:
    """A page asks to log in first; what changes something is refused, whatever key is shown."""
    async with serving(**PUBLIC, login=True) as platform:
        for one in ENDPOINTS:
            if Credential.BROWSER in one.access.value.takes:
                path = one.path.replace("{run_id}", "run_x").replace("{code}", "x")
                answer = await platform.http.request(one.method, path)
                if one.method == "GET":
                    assert answer.headers["location"].startswith("/login?next="), one.path
                else:
                    assert answer.status_code == 401, one.path
