"""Every call of the management API that clients of Trigger.dev make has its route here (protocol A, B, E)."""

from __future__ import annotations

import re

import pytest

from trigger_platform.app import ENDPOINTS

CALLS = """
POST /api/v1/tasks/{}/trigger
POST /api/v1/tasks/{}/batch
POST /api/v1/tasks/batch
POST /api/v2/tasks/batch
POST /api/v3/batches
POST /api/v3/batches/{}/items
GET /api/v1/batches/{}
GET /api/v1/batches/{}/results
GET /api/v2/batches/{}
GET /api/v1/runs
GET /api/v1/projects/{}/runs
GET /api/v3/runs/{}
POST /api/v2/runs/{}/cancel
POST /api/v1/runs/{}/replay
POST /api/v1/runs/{}/reschedule
POST /api/v1/runs/{}/tags
GET /api/v1/runs/{}/metadata
PUT /api/v1/runs/{}/metadata
GET /api/v1/runs/{}/result
GET /api/v1/runs/{}/events
GET /api/v1/runs/{}/trace
GET /api/v1/runs/{}/spans/{}
POST /api/v1/runs/{}/input-streams/wait
POST /api/v1/schedules
GET /api/v1/schedules
GET /api/v1/schedules/{}
PUT /api/v1/schedules/{}
DELETE /api/v1/schedules/{}
POST /api/v1/schedules/{}/activate
POST /api/v1/schedules/{}/deactivate
GET /api/v1/timezones
GET /api/v1/queues
GET /api/v1/queues/{}
POST /api/v1/queues/{}/pause
POST /api/v1/queues/{}/concurrency/override
POST /api/v1/queues/{}/concurrency/reset
GET /api/v1/projects/{}/envvars
GET /api/v1/projects/{}/envvars/{}
POST /api/v1/projects/{}/envvars/{}
POST /api/v1/projects/{}/envvars/{}/import
GET /api/v1/projects/{}/envvars/{}/{}
PUT /api/v1/projects/{}/envvars/{}/{}
POST /api/v1/projects/{}/envvars/{}/{}
DELETE /api/v1/projects/{}/envvars/{}/{}
GET /api/v1/deployments
GET /api/v1/deployments/current
GET /api/v1/deployments/latest
GET /api/v1/deployments/{}
POST /api/v1/deployments
POST /api/v1/deployments/{}/promote
POST /api/v1/deployments/{}/background-workers
POST /api/v1/deployments/{}/progress
POST /api/v1/deployments/{}/cancel
POST /api/v1/deployments/{}/fail
POST /api/v1/deployments/{}/finalize
POST /api/v2/deployments/{}/finalize
POST /api/v3/deployments/{}/finalize
POST /api/v1/deployments/{}/generate-registry-credentials
GET /api/v1/remote-build-provider-status
POST /api/v1/waitpoints/tokens
GET /api/v1/waitpoints/tokens
GET /api/v1/waitpoints/tokens/{}
POST /api/v1/waitpoints/tokens/{}/complete
POST /api/v1/waitpoints/tokens/{}/callback/{}
POST /api/v1/idempotencyKeys/{}/reset
PUT /api/v1/packets/{}
PUT /api/v2/packets/{}
GET /api/v1/packets/{}
POST /engine/v1/runs/{}/wait/duration
POST /engine/v1/runs/{}/waitpoints/tokens/{}/wait
POST /api/v1/bulk-actions
GET /api/v1/bulk-actions
GET /api/v1/bulk-actions/{}
POST /api/v1/bulk-actions/{}/abort
GET /api/v1/projects
GET /api/v1/projects/runtimes
GET /api/v1/projects/{}
PATCH /api/v1/projects/{}
DELETE /api/v1/projects/{}
POST /api/v1/projects/{}/init
GET /api/v1/orgs
POST /api/v1/orgs
GET /api/v1/orgs/{}/projects
POST /api/v1/orgs/{}/projects
GET /api/v1/projects/{}/environments
GET /api/v1/projects/{}/{}
POST /api/v1/projects/{}/{}/jwt
GET /api/v1/projects/{}/{}/workers/{}
GET /api/v1/projects/{}/dev-status
GET /api/v1/projects/{}/branches
POST /api/v1/projects/{}/branches
POST /api/v1/projects/{}/branches/archive
POST /api/v1/projects/{}/{}/pause
POST /api/v1/projects/{}/{}/resume
POST /api/v1/projects/{}/{}/regenerate-api-key
GET /api/v1/platform-notifications
POST /api/v1/authorization-code
POST /api/v1/token
GET /api/v2/whoami
POST /api/v1/auth/jwt
POST /api/v1/auth/jwt/claims
POST /api/v1/auth/public-tokens
GET /api/v1/workers
POST /api/v1/workers
""".strip().splitlines()

SERVED = {f"{one.method} {re.sub(r'{[^}]*}', '{}', one.path)}" for one in ENDPOINTS}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_the_official_clients_has_a_route(call: str) -> None:
    """By the method and the path they use."""
    assert call in SERVED
