"""What the platform itself puts into the environment of tasks, beside users' variables (protocol D.3)."""

from __future__ import annotations

from trigger_platform.http.server import Server
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["given", "of_developer"]


def of_developer(server: Server, url: str = "") -> dict[str, str]:
    """Return what a session of development needs; it knows the key and the address already."""
    url = url or server.url
    return {
        "TRIGGER_STREAM_URL": url,
        "TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/otel",
        "TRIGGER_REALTIME_STREAM_VERSION": "v1",
    }


def given(
    server: Server, environment: EnvironmentRow, organization_id: str, url: str = ""
) -> dict[str, str]:
    """Return what the tasks of an environment are given; outside development with its key."""
    url = url or server.url
    found = of_developer(server, url) | {"TRIGGER_API_URL": url}
    if environment.branch is not None:
        found["TRIGGER_PREVIEW_BRANCH"] = environment.branch
    if environment.word != "dev":
        found["TRIGGER_SECRET_KEY"] = server.secret_key_of(environment)
        found["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{url}/otel"
        found["TRIGGER_ORG_ID"] = organization_id
    return found
