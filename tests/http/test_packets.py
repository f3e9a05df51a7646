"""Large payloads and outputs: upload, name, download (protocol A.15)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.requests import ClientDisconnect

from support.http import Platform, serving
from trigger_platform.blobs.folder import FolderBlobs
from trigger_platform.http import public_token
from trigger_platform.loops.retention import Retention

DAY_MS = 86_400_000
NAME = "trigger/my-task/1-x/payload.json"
SUPERJSON = "application/super+json"
NOBODY = {"authorization": ""}
pytestmark = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def platform(address: str, tmp_path: Path) -> AsyncIterator[Platform]:
    """A platform with a folder for blobs that takes up to a megabyte."""
    async with serving(address, data_dir=tmp_path, blob_limit=1_000_000) as platform:
        yield platform


def _encoded(name: str, version: str = "v2") -> str:
    return f"/api/{version}/packets/{quote(name, safe='')}"


async def _put(platform: Platform, url: str, body: bytes, kind: str = SUPERJSON) -> httpx.Response:
    headers = {"content-type": kind, "authorization": ""}
    return await platform.http.put(url, content=body, headers=headers)


async def _store(platform: Platform, body: bytes, name: str = NAME) -> str:
    place = (await platform.http.put(_encoded(name))).json()
    answer = await _put(platform, place["presignedUrl"], body)
    assert answer.is_success, answer.text
    return str(place["storagePath"])


async def _read(platform: Platform, path: str) -> httpx.Response:
    address = (await platform.http.get(_encoded(path, "v1"))).json()["presignedUrl"]
    return await platform.http.get(address, headers={"authorization": ""})


def _bearer(platform: Platform, scope: str, **claims: Any) -> dict[str, str]:
    server, environment = platform.server, platform.server.local.environment
    full = {"sub": environment.id, "pub": True, "scopes": [scope]} | claims
    token = public_token.mint(server.units.keys, environment, full, platform.clock.now())
    return {"authorization": f"Bearer {token}"}


def _files(folder: Path) -> list[Path]:
    return [one for one in (folder / "blobs").rglob("*") if one.is_file()]


@pytest.mark.behaviour(18)
async def test_a_packet_comes_back_as_it_was_uploaded(platform: Platform) -> None:
    """With its content type, by which clients decode it; the slash may arrive encoded or not."""
    body = json.dumps({"json": "x" * 200_000}).encode()
    path = await _store(platform, body)
    answer = await _read(platform, path)
    assert (answer.content, answer.headers["content-type"]) == (body, SUPERJSON)

    plain = await platform.http.put(f"/api/v1/packets/{NAME}")
    assert set(plain.json()) == {"presignedUrl"}
    await _put(platform, plain.json()["presignedUrl"], b"hello", "text/plain")
    answer = await _read(platform, NAME)
    assert (answer.content, answer.headers["content-type"]) == (b"hello", "text/plain")


@pytest.mark.behaviour(18)
async def test_a_run_shows_where_its_payload_and_output_lie(platform: Platform) -> None:
    """Instead of the values; the worker is given the names."""
    path = await _store(platform, b'{"json":1}')
    output = await _store(platform, b'{"json":2}', "run_x-1/output.json")
    run_id = await platform.trigger("task", path, payloadType="application/store")
    [run] = await platform.work("task")
    assert (run["payload"], run["payloadType"]) == (path, "application/store")
    done = {"ok": True, "runId": run_id, "lease": run["lease"], "output": output}
    await platform.report(completions=[done | {"outputType": "application/store"}])

    read = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()
    assert read.get("payload") is read.get("output") is None
    for name, content in (("payload", b'{"json":1}'), ("output", b'{"json":2}')):
        answer = await platform.http.get(read[f"{name}PresignedUrl"])
        assert answer.content == content
    replayed = (await platform.http.post(f"/api/v1/runs/{run_id}/replay")).json()["id"]
    again = (await platform.http.get(f"/api/v3/runs/{replayed}")).json()
    assert (await platform.http.get(again["payloadPresignedUrl"])).content == b'{"json":1}'
    result = (await platform.http.get(f"/api/v1/runs/{run_id}/result")).json()
    assert (result["output"], result["outputType"]) == (output, "application/store")


async def test_who_may_read_a_run_may_read_its_packets(platform: Platform) -> None:
    """By the run, or by their names as older clients do; other packets are out of reach."""
    path = await _store(platform, b'{"json":1}')
    other = await _store(platform, b'{"json":2}', "trigger/my-task/2-x/payload.json")
    stored = {"payloadType": "application/store"}
    run_id = await platform.trigger("task", path, tags=["mine"], **stored)
    other_id = await platform.trigger("task", other, **stored)
    for scope in (f"read:runs:{run_id}", "read:tags:mine", "read:runs"):
        reads = _bearer(platform, scope)
        for where in (f"/api/v1/runs/{run_id}/packets/payload", _encoded(path, "v1")):
            found = await platform.http.get(where, headers=reads)
            assert found.status_code == 200, (scope, where, found.text)
            answer = await platform.http.get(found.json()["presignedUrl"], headers=NOBODY)
            assert answer.content == b'{"json":1}'
    reads = _bearer(platform, f"read:runs:{run_id}")
    for where in (f"/api/v1/runs/{other_id}/packets/payload", _encoded(other, "v1")):
        assert (await platform.http.get(where, headers=reads)).status_code == 403
    for where in (f"/api/v1/runs/{run_id}/packets/output", f"/api/v1/runs/{run_id}/packets/x"):
        assert (await platform.http.get(where, headers=reads)).status_code == 404


async def test_a_token_that_hides_columns_hides_their_packets(platform: Platform) -> None:
    """Both of them, where only the name of the packet is known."""
    path = await _store(platform, b'{"json":1}')
    run_id = await platform.trigger("task", path, payloadType="application/store")
    reads = _bearer(platform, "read:runs", realtime={"skipColumns": ["payload"]})
    for where in (f"/api/v1/runs/{run_id}/packets/payload", _encoded(path, "v1")):
        assert (await platform.http.get(where, headers=reads)).status_code == 403


@pytest.mark.parametrize("payload", [None, "", {"a": 1}, "x" * 1_001])
async def test_a_payload_that_lies_elsewhere_is_a_path(platform: Platform, payload: Any) -> None:
    """Nothing else."""
    body = {"payload": payload, "options": {"payloadType": "application/store"}}
    answer = await platform.http.post("/api/v1/tasks/a/trigger", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PACKET_NAME")


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\tb", "x" * 1_001]
)
async def test_a_name_leads_nowhere_else(platform: Platform, name: str, tmp_path: Path) -> None:
    """It is refused, and a file has another name anyway."""
    answer = await platform.http.put(_encoded(name))
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PACKET_NAME")

    await _store(platform, b"x")
    environment_id = platform.server.local.environment.id
    [file] = _files(tmp_path)
    assert file.is_relative_to(tmp_path / "blobs" / environment_id)


async def test_an_address_serves_one_purpose_for_a_while(platform: Platform) -> None:
    """Another method, path, environment, moment or signature is refused."""
    upload = (await platform.http.put(_encoded(NAME))).json()["presignedUrl"]
    assert (await platform.http.get(upload)).status_code == 403
    await _put(platform, upload, b"x")
    download = (await platform.http.get(_encoded(NAME, "v1"))).json()["presignedUrl"]
    assert (await _put(platform, download, b"y")).status_code == 403
    for wrong in (
        download.replace("payload.json", "other.json"),
        download.replace(platform.server.local.environment.id, "another"),
        download.replace("expires=", "expires=9"),
        download.replace("expires=", "expires=x"),
        download.replace("signature=", "signature=0"),
        download.partition("?")[0],
    ):
        assert (await platform.http.get(wrong)).status_code in {403, 404}, wrong
    assert (await platform.http.get(download)).content == b"x"
    platform.clock.advance(3_601_000)

    assert (await platform.http.get(download)).status_code == 403


async def test_what_is_too_large_is_refused_and_leaves_nothing(
    platform: Platform, tmp_path: Path
) -> None:
    """Whether its length is told before or not."""
    url = (await platform.http.put(_encoded(NAME))).json()["presignedUrl"]
    assert (await _put(platform, url, b"x" * 1_000_001)).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100_000

    answer = await platform.http.put(url, content=pieces(), headers={"authorization": ""})
    assert answer.status_code == 413
    assert _files(tmp_path) == []
    missing = (await platform.http.get(_encoded(NAME, "v1"))).json()["presignedUrl"]
    assert (await platform.http.get(missing)).status_code == 404


async def test_a_browser_takes_a_packet_for_no_page_of_the_server(platform: Platform) -> None:
    """Whatever type it was uploaded with."""
    url = (await platform.http.put(_encoded(NAME))).json()["presignedUrl"]
    await _put(platform, url, b"<script>alert(1)</script>", "text/html")
    headers = (await _read(platform, NAME)).headers

    assert headers["content-disposition"] == "attachment"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


async def test_packets_go_with_the_last_run_that_has_them(
    platform: Platform, tmp_path: Path
) -> None:
    """One that no run was ever triggered with goes after a day."""
    kept = await _store(platform, b"kept", "kept.json")
    run_id = await platform.trigger("task", kept, payloadType="application/store")
    await _store(platform, b"unused", "unused.json")
    retention = Retention(
        platform.server.units, platform.server.settings.periods, platform.server.blobs
    )

    def left() -> set[bytes]:
        return {file.read_bytes() for file in _files(tmp_path)}

    assert left() == {b"kept", b"unused"}
    platform.clock.advance(DAY_MS + 1)
    removed = await retention.run_once()
    assert (removed["blobs"], left()) == (1, {b"kept"})
    replayed = (await platform.http.post(f"/api/v1/runs/{run_id}/replay")).json()["id"]
    await platform.http.post(f"/api/v2/runs/{run_id}/cancel")
    platform.clock.advance(31 * DAY_MS)
    assert (await retention.run_once())["runs"] == 1
    assert left() == {b"kept"}
    await platform.http.post(f"/api/v2/runs/{replayed}/cancel")
    platform.clock.advance(31 * DAY_MS)
    assert (await retention.run_once())["runs"] == 1

    assert left() == set()
    assert (await platform.http.get(_encoded(kept, "v1"))).status_code == 404


async def test_an_upload_that_breaks_off_leaves_what_was_there(
    platform: Platform, tmp_path: Path
) -> None:
    """And no half of it."""
    await _store(platform, b"first")
    blobs, environment = platform.server.blobs, platform.server.local.environment
    assert isinstance(blobs, FolderBlobs)

    async def broken() -> AsyncIterator[bytes]:
        yield b"second"
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        await blobs.write(environment.id, NAME, broken(), limit=1_000)

    assert (await _read(platform, NAME)).content == b"first"
    assert len(_files(tmp_path)) == 1
