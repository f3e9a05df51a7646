"""The description at ``/openapi.json`` is true: Schemathesis makes requests from it, good and bad."""

from __future__ import annotations

import asyncio
import re
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
from support.http import METRICS_TOKEN, PROJECT
from trigger_platform.app import ENDPOINTS
from trigger_platform.engine import worker_group
from trigger_platform.http.access import Credential
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.http.server import Server
from trigger_platform.serving import serve
from trigger_platform.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _get(endpoint: Endpoint) -> str:
    return "GET" if endpoint.method == "GET" and "streams" in endpoint.path else ""


# A long poll and an endless stream are right to keep a caller waiting.
ENDLESS = re.compile(r"/follow$|/poll$|/presence$|^/live/|/realtime/v1/streams/.*GET$")
TRIED = [one for one in ENDPOINTS if not ENDLESS.search(f"{one.path}{_get(one)}")]
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
        metrics_token=METRICS_TOKEN,
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
def tokens(platform: Server) -> dict[Credential, str]:
    """What opens each kind of route."""
    return {
        Credential.KEY: platform.secret_key_of(platform.local.environment),
        Credential.USER_TOKEN: platform.local.access_token,
        Credential.METRICS_TOKEN: METRICS_TOKEN,
        Credential.WORKER_TOKEN: platform.units.write_sync(
            worker_group.create, "group", None
        ).token,
    }


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
    def map_path_parameters(context, parameters):
        if context.operation.method == "delete":
            return parameters
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
    endpoint: Endpoint,
    data: strategies.DataObject,
    tokens: dict[Credential, str],
    schema,
) -> None:
    """No request makes the server fail, every answer has a promised shape, every route asks who calls."""
    operation = schema[endpoint.shown_path][endpoint.method]
    case = data.draw(operation.as_strategy())
    token = next((tokens[one] for one in endpoint.access.value.takes if one in tokens), "")
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=20)


def test_every_route_is_described(schema) -> None:
    """The description is made from the table that is served."""
    described_routes = {
        (result.ok().method.upper(), result.ok().path) for result in schema.get_all_operations()
    }
    assert described_routes == {(one.method, one.shown_path) for one in ENDPOINTS}
