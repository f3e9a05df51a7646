"""The environment variables that the platform gives to tasks itself (protocol D.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trigger_platform.engine import export_proof
from trigger_platform.engine.snapshot_channel import Attempt
from trigger_platform.http import run_token
from trigger_platform.http.endpoint import Incoming
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["beside", "of", "of_attempt"]

_EXPORTERS = "OTEL_EXPORTER_OTLP_ENDPOINT"


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
        given[_EXPORTERS] = f"{url}/otel"
        given["TRIGGER_ORG_ID"] = organization_id
    return given


def of_attempt(call: Incoming[Any], here: EnvironmentRow, attempt: Attempt) -> dict[str, str]:
    """Return the same for an attempt, with the token of its run.

    Deployed, it exports to an address that proves which run it executes. The official worker reads the
    address when its first attempt begins, after these variables have taken the place of what its container
    was given, and keeps it as long as its process lives.
    """
    organization_id = attempt.home.organization.id
    given = of(call, here, organization_id) | {"TRIGGER_JWT": _token(call, here, attempt)}
    if here.word == "dev":
        return given
    proof = export_proof.written(call.server.units.keys, here, export_proof.of_run(attempt.run))
    address = f"{given['TRIGGER_API_URL']}/otel/{proof}"
    return given | {
        _EXPORTERS: address,
        "TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "TRIGGER_OTEL_BATCH_PROCESSING_ENABLED": "1",
    }


def _token(call: Incoming[Any], here: EnvironmentRow, attempt: Attempt) -> str:
    minter, run = call.server.run_tokens, attempt.run
    minter.learn(here, attempt.home.organization.id)
    return minter.mint(run_token.of_run(run), run.machine, call.server.units.clock.now())


def beside(mine: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a project with those given; where its own exporters send to is its affair."""
    kept = {_EXPORTERS: mine[_EXPORTERS]} if _EXPORTERS in mine else {}
    return {**mine, **given, **kept}
