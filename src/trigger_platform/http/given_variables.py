"""The environment variables that the platform gives to tasks itself (protocol D.3)."""

from __future__ import annotations

from typing import Any

from trigger_platform.engine import export_proof
from trigger_platform.engine.snapshot_channel import Attempt
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


def of_attempt(call: Incoming[Any], here: EnvironmentRow, attempt: Attempt) -> dict[str, str]:
    """Return the same for an attempt: deployed, it exports to an address that proves which run it executes.

    The official worker reads the address when its first attempt begins, after these variables have taken the
    place of what its container was given, and keeps it as long as its process lives.
    """
    given = of(call, here, attempt.home.organization.id)
    if here.word == "dev":
        return given
    proof = export_proof.written(call.server.units.keys, here, export_proof.of_run(attempt.run))
    address = f"{given['TRIGGER_API_URL']}/otel/{proof}"
    return given | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "TRIGGER_OTEL_BATCH_PROCESSING_ENABLED": "1",
    }
