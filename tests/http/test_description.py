"""The description at ``/openapi.json`` is true: Schemathesis makes requests from it, good and bad."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from support import keys, postgres
from support.http import PROJECT
from trigger_platform.app import ENDPOINTS
from trigger_platform.http.access import Credential
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.http.server import Server
from trigger_platform.serving import serve
from trigger_platform.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# A long poll and an endless stream are right to keep a caller waiting.
TRIED = [one for one in ENDPOINTS if not one.path.endswith(("/follow", "/poll"))]
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A platform that serves on a socket, from a thread of its own."""
    database = postgres.empty_database() if request.param == "postgres" else None
    folder: Path = tmp_path_factory.mktemp("described")
    up, ready = threading.Event(), []
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    def announce(server: Server) -> None:
        ready.append(server)
        up.set()

    chosen = Settings(
        data_dir=folder,
        project_ref=PROJECT,
        port=0,
        database=database,
        encryption_key=keys.TEXT,
    )
    work = serve(chosen, announce=announce, until=ended)
    thread = threading.Thread(target=loop.run_until_complete, args=[work])
    thread.start()
    assert up.wait(20)
    yield ready[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join(20)
    loop.close()


@pytest.fixture(scope="module")
def known(platform: Server) -> dict[str, list[str]]:
    """Ids that exist, by the name of the parameter that takes them."""
    key = platform.secret_key_of(platform.local.environment)
    with httpx.Client(base_url=platform.url, headers={"authorization": f"Bearer {key}"}) as http:
        run = http.post("/api/v1/tasks/hello/trigger", json={"payload": 1}).json()["id"]
        token = http.post("/api/v1/waitpoints/tokens", json={}).json()["id"]
    return {"run_id": [run], "token_id": [token], "project_ref": [PROJECT], "env": ["dev"]}


@pytest.fixture(scope="module")
def schema(platform: Server, known: dict[str, list[str]]):
    """The description as a client reads it, with ids that exist in place of most invented ones."""
    loaded = schemathesis.openapi.from_url(f"{platform.url}/openapi.json")

    @loaded.hook
    def map_path_parameters(_context, parameters):
        return {name: known.get(name, [value])[0] for name, value in (parameters or {}).items()}

    return loaded


@pytest.mark.parametrize("endpoint", TRIED, ids=lambda one: f"{one.method} {one.path}")
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(data=strategies.data())
def test_every_answer_is_one_that_the_description_names(
    endpoint: Endpoint, data: strategies.DataObject, platform: Server, schema
) -> None:
    """No request makes the server fail, every answer has a promised shape, every route asks who calls."""
    operation = schema[endpoint.path][endpoint.method]
    case = data.draw(operation.as_strategy())
    takes_key = Credential.ROOT_KEY in endpoint.access.value.takes
    token = (
        platform.secret_key_of(platform.local.environment)
        if takes_key
        else platform.local.access_token
    )
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=20)


def test_every_route_is_described(schema) -> None:
    """The description is made from the table that is served."""
    described_routes = {
        (result.ok().method.upper(), result.ok().path) for result in schema.get_all_operations()
    }
    assert described_routes == {(one.method, one.path) for one in ENDPOINTS}
