"""Packets that lie elsewhere, through every process: payloads that clients uploaded, outputs of others."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator

import httpx
import pytest

from support.dev import Dev, write_project
from trigger_core import packet
from trigger_core.api.calls import packets as calls
from trigger_sdk._host import Ended, Waited
from trigger_sdk._remote import Remote
from trigger_sdk._session import Credentials
from trigger_worker import stored_packets

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stored_packets")]

TASKS = """
from datetime import datetime
from trigger_sdk import *

@task
def measure(text: str, at: datetime) -> str:
    return f"{len(text)} {at.year}"
"""
PAYLOAD = {"json": {"text": "x" * 5_000_000, "at": "2026-01-31T09:00:00.000Z"}}
META = {"meta": {"values": {"at": ["Date"]}}}


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all."""
    session = Dev(write_project(tmp_path_factory.mktemp("project"), TASKS))
    yield session
    session.stop()


@pytest.fixture
def credentials(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> Credentials:
    """Those of the session, in the environment too."""
    found = Credentials(dev.session["apiUrl"], dev.session["secretKey"])
    monkeypatch.setenv("TRIGGER_API_URL", found.api_url)
    monkeypatch.setenv("TRIGGER_SECRET_KEY", found.secret_key)
    return found


def _store(dev: Dev, name: str, content: object) -> str:
    place = dev.client.send(calls.create(name))
    headers = {"content-type": packet.SUPERJSON}
    assert httpx.put(place.presigned_url, json=content, headers=headers).is_success
    return place.storage_path


def test_a_task_is_given_a_payload_that_was_too_large_to_send(dev: Dev) -> None:
    """Five megabytes, decoded by the type they were uploaded with."""
    path = _store(dev, "trigger/measure/1-x/payload.json", PAYLOAD | META)
    run = dev.run("measure", path, payload_type=packet.STORE)

    assert run.output == "5000000 2026", run.error


def test_outputs_of_other_workers_are_brought(dev: Dev, credentials: Credentials) -> None:
    """To a task that waits for them, and to whoever reads the run."""
    path = _store(dev, "run_x-1/output.json", {"json": {"large": True}})
    inline = Ended(ok=True, run_id="run_y", output="1", output_type=packet.JSON)
    waited = Waited((Ended(ok=True, run_id="run_x", output=path, output_type=packet.STORE), inline))
    for found in (
        stored_packets.brought_sync(waited),
        asyncio.run(stored_packets.brought(waited)),
    ):
        assert found.ended[1] == inline
        assert packet.to_plain(found.ended[0].output, found.ended[0].output_type) == {"large": True}

    run = dev.run("measure", {"text": "x", "at": "2026-01-01T00:00:00Z"})
    with sqlite3.connect(dev.folder / ".trigger" / "trigger.db") as connection:
        statement = "update run set output = ?, output_type = ? where id = ?"
        connection.execute(statement, (path, packet.STORE, run.id))
    remote = Remote(credentials)
    assert remote.retrieve_sync(run.id).output == {"large": True}
    assert asyncio.run(remote.retrieve(run.id)).output == {"large": True}
