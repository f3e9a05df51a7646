"""The environment variables that the platform gives to tasks itself (protocol D.3)."""

from __future__ import annotations

from typing import Any

from trigger_platform.engine.snapshot_channel import Attempt
from trigger_platform.http import run_token
from trigger_platform.http.endpoint import Incoming
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["of", "of_attempt"]


def of(call: Incoming[Any], here: EnvironmentRow, organization_id: str) -> dict[str, str]:
    """Return where the platform is, for the tasks of an environment."""
    url = call.server.url or str(call.request.base_url).rstrip("/")
    given = {
        "TRIGGER_API_URL": url,
        "TRIGGER_STREAM_URL": url,
        "TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/otel",
        "TRIGGER_REALTIME_STREAM_VERSION": "v1",
    }
    if here.branch is not None:
        given["TRIGGER_PREVIEW_BRANCH"] = here.branch
    if here.word != "dev":
        given["TRIGGER_SECRET_KEY"] = call.server.secret_key_of(here)
        given["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{url}/otel"
        given["TRIGGER_ORG_ID"] = organization_id
    return given


def of_attempt(call: Incoming[Any], here: EnvironmentRow, begun: Attempt) -> dict[str, str]:
    """Return the same for one attempt, and what it may show for its run."""
    run, organization_id = begun.run, begun.home.organization.id
    minter, now = call.server.run_tokens, call.server.units.clock.now()
    minter.learn(here, organization_id)
    token = minter.mint(run_token.of_run(run), run.machine, now)
    return of(call, here, organization_id) | {"TRIGGER_JWT": token}
