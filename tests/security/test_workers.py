"""Workers: what a run and what a supervisor may do. More: ``http/test_run_tokens.py``."""

from __future__ import annotations

import pytest

from support import postgres
from support.http import Platform, serving
from support.tenants import bearer, settle
from trigger_platform.app import ENDPOINTS
from trigger_platform.engine import worker_group
from trigger_platform.http.access import Credential
from trigger_platform.store.sqlite import MEMORY

OF_A_RUN = [one for one in ENDPOINTS if Credential.RUN_TOKEN in one.access.value.takes]
OF_SUPERVISORS = [one for one in ENDPOINTS if Credential.WORKER_TOKEN in one.access.value.takes]


def test_workers_a_token_of_a_run_opens_no_secret() -> None:
    """Neither variables, nor keys, nor what belongs to the environment as a whole."""
    assert OF_A_RUN
    for one in OF_A_RUN:
        need = one.access.value.need
        for word in (
            "envvars",
            "api-keys",
            "access-tokens",
            "orgs",
            "deployments",
            "schedules",
            "queues",
        ):
            assert word not in one.path
        assert need is None or need.type not in {"envvars", "deployments", "queues", "schedules"}


def test_workers_a_supervisors_token_opens_its_protocol_alone() -> None:
    """No route of the API, and no page."""
    assert OF_SUPERVISORS
    for one in OF_SUPERVISORS:
        assert one.path.startswith("/engine/v1/worker-actions/")
        assert one.access.value.takes == {Credential.WORKER_TOKEN}


@pytest.fixture(params=["sqlite", "postgres"])
async def platform(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    """A platform on either database."""
    address = postgres.emptied_database() if request.param == "postgres" else MEMORY
    async with serving(address) as platform:
        yield platform


async def test_workers_a_supervisor_reads_no_run_that_it_was_not_handed(
    platform: Platform,
) -> None:
    """Nor starts, ends, keeps or suspends it, with the run's id and a guessed snapshot."""
    acme = await settle(platform, "acme")
    made = await platform.http.post(
        "/api/v1/tasks/t/trigger", json={"payload": "secret"}, headers=bearer(acme.root)
    )
    run = made.json()["id"]
    made_group = await platform.server.units.write(worker_group.create, "mallory")
    headers = bearer(made_group.token) | {"x-trigger-workload-runner-id": "mine"}
    completion = {"completion": {"ok": True, "id": run, "output": "1", "outputType": "x"}}
    bodies = {"attempts/complete": completion}
    for one in OF_SUPERVISORS:
        if "{run_id}" not in one.path:
            continue
        path = one.path.replace("{run_id}", run).replace("{snapshot_id}", "snapshot_x")
        body = next((body for end, body in bodies.items() if path.endswith(end)), {})
        answer = await platform.http.request(one.method, path, json=body, headers=headers)
        assert "secret" not in answer.text, path
        assert answer.status_code < 500
    shown = await platform.http.get(f"/api/v3/runs/{run}", headers=bearer(acme.root))
    assert shown.json()["status"] in {"QUEUED", "PENDING_VERSION"}
