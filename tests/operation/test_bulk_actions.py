"""A bulk action goes on where it was when the server is killed: each run once."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import postgres
from support.dev import until
from support.server import Started

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("operation")]

RUNS = 2_000


def _http(server: Started) -> httpx.Client:
    headers = {"authorization": f"Bearer {server.ready['secretKey']}"}
    return httpx.Client(base_url=server.ready["url"], headers=headers, timeout=30)


def _counts(http: httpx.Client, action_id: str) -> dict[str, Any]:
    return dict(http.get(f"/api/v1/bulk-actions/{action_id}").json())


def _made(http: httpx.Client, action_id: str) -> int:
    """Count the runs that an action made, page by page."""
    made, after = 0, ""
    while after is not None:
        params = {"filter[bulkAction]": action_id, "page[size]": "100", "page[after]": after}
        page = http.get("/api/v1/runs", params=params).json()
        made += len(page["data"])
        after = page["pagination"].get("next")
    return made


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_bulk_action_survives_the_server(store: str, tmp_path: Path) -> None:
    """It is killed in the midst of it, and another goes on."""
    database = tmp_path / "t.db" if store == "sqlite" else postgres.empty_database()
    server = Started(database)
    try:
        with _http(server) as http:
            for _ in range(RUNS // 500):
                body = {"items": [{"task": "a"}] * 500}
                assert http.post("/api/v1/tasks/batch", json=body).is_success
            asked = {"action": "replay", "filter": {"taskIdentifier": "a"}}
            action_id = http.post("/api/v1/bulk-actions", json=asked).json()["id"]
            until(lambda: _counts(http, action_id)["counts"]["success"] > 0, what="a slice")
        server.stop(signal.SIGKILL)
        server = Started(database)
        with _http(server) as http:
            before = _counts(http, action_id)
            assert before["counts"]["total"] == RUNS
            until(lambda: _counts(http, action_id)["status"] == "COMPLETED", 60, "the end")
            counts = _counts(http, action_id)["counts"]
            assert counts == {"total": RUNS, "success": RUNS, "failure": 0}
            assert _made(http, action_id) == RUNS
            assert before["status"] == "PENDING", "it was over before the server was killed"
    finally:
        server.end()
