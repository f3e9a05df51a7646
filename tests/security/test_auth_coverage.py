"""Auth coverage: every way in is a row of one table, and no spelling of an address gets past its rule."""

from __future__ import annotations

import pytest
from starlette.routing import BaseRoute

from support.http import Platform
from support.live import listening
from support.socket_client import connected
from trigger_platform.app import ENDPOINTS, build
from trigger_platform.http.access import Access

NOBODY = {"authorization": ""}
PUBLIC_PATHS = sorted({one.path for one in ENDPOINTS if one.access is Access.OPEN})
PROTECTED = "/api/v1/runs"


def _path(route: BaseRoute) -> str:
    return str(getattr(route, "path", route))


async def test_auth_coverage_every_route_is_a_row_of_the_matrix(platform: Platform) -> None:
    """There is no route beside the table but the description and the files of the pages."""
    app = build(platform.server)
    table = {one.path for one in ENDPOINTS}
    beside = {_path(route) for route in app.routes} - table

    assert beside <= {"/openapi.json", "/static", "/socket.io"}


VARIANTS = [
    "{protected}{public}", "{public}/..{protected}", "{public}/%2e%2e{protected}", "{protected};{public}",
    "{protected}%2f{public}", "/{protected}", "{protected}//", "{protected}/", "{protected}%3f{public}",
    "{protected}%23{public}", "{public}{protected}", "/.{protected}", "{protected}%00{public}",
    "{public};/..{protected}", "{public}%2f..%2f..{protected}", "{protected}/.", "{protected}/..;/x{public}",
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


@pytest.mark.parametrize(
    "header",
    [
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-forwarded-prefix",
        "x-user-id",
    ],
)
async def test_auth_coverage_no_header_but_the_credential_opens_anything(
    platform: Platform, header: str
) -> None:
    """What proxies of other products believe is believed by nobody here."""
    for value in ("/healthz", "GET", "user_local", "/"):
        answer = await platform.http.get(PROTECTED, headers=NOBODY | {header: value})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "shown",
    ["Basic dHJfZGV2Og==", "Bearer", "Bearer null", "Bearer ..", "bearer tr_", "Bearer a.b.c"],
)
async def test_auth_coverage_what_is_no_credential_is_refused(
    platform: Platform, shown: str
) -> None:
    """On a route that takes keys and tokens of every kind."""
    answer = await platform.http.get("/api/v3/runs/run_x", headers={"authorization": shown})
    assert answer.status_code == 401


async def test_auth_coverage_a_web_socket_needs_a_key_too() -> None:
    """Whoever has none is told so by the protocol, and watches nothing."""
    async with listening() as platform, connected(platform.server.url, "tr_dev_wrong") as client:
        assert (await client.frame()).startswith("44/dev-worker,")
