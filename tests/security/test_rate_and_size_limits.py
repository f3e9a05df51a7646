"""Rate and size limits: nothing that is sent is read, unpacked, counted or waited for without end."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from simple_websocket import AioClient
from socketio import AsyncServer

from support import postgres
from support.http import Platform, serving
from support.live import listening
from support.routes import filled
from support.server import Started
from support.socket_client import connected
from trigger_platform.app import ENDPOINTS
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.store.sqlite import MEMORY


async def test_size_limits_every_body_has_one(platform: Platform) -> None:
    """A length beyond all limits is refused by every route that takes a body, before it is read."""
    for one in ENDPOINTS:
        if one.body is not None:
            headers = {"content-length": str(10**12), "content-type": "application/json"}
            answer = await platform.http.request(
                one.method, filled(one), headers=headers, content=b"{}"
            )
            assert answer.status_code in {401, 403, 404, 413}, one.path


async def test_size_limits_no_body_is_read_deeper_than_the_parser_goes(platform: Platform) -> None:
    """Ten thousand levels, to every route that takes a body."""
    for one in ENDPOINTS:
        if one.body is not None:
            for text in ("[" * 10_000, '{"a":' * 10_000, "[" * 10_000 + "]" * 10_000):
                answer = await platform.http.request(one.method, filled(one), content=text)
                assert answer.status_code in {400, 401, 403, 404, 413, 422}, one.path


# --- Numbers and texts that databases do not have --------------------------------------------------------

ODD = [
    "²", "٣", "--5", "-1", "1" * 5000, str(2**63), str(10**30), "1e400", "%00", "a%00b", "%ff", "%ed%a0%80",
]  # fmt: skip


def _is_endless(one: Endpoint) -> bool:
    return any(word in one.path for word in ("live", "follow", "realtime", "presence"))


@pytest.fixture(params=["sqlite", "postgres"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    address = postgres.emptied_database() if request.param == "postgres" else MEMORY
    async with serving(address) as platform:
        yield platform


async def test_size_limits_odd_numbers_and_texts_are_refused_and_break_nothing(
    either: Platform,
) -> None:
    """In every parameter that a query or a path may have."""
    asked = 0
    for one in ENDPOINTS:
        if one.method != "GET" or _is_endless(one):
            continue
        for value in ODD:
            place = one.path.replace(":path}", "}")
            for name in (
                "run_id",
                "token_id",
                "batch_id",
                "queue",
                "schedule",
                "name",
                "snapshot_id",
            ):
                place = place.replace("{" + name + "}", value[:200])
            place = place.replace("{", "").replace("}", "")
            for query in one.query or ("",):
                answer = await either.http.get(f"{place}?{query}={value}" if query else place)
                assert answer.status_code < 500, (place, query, value[:40], answer.text)
                asked += 1
    assert asked > 1000


@pytest.mark.parametrize(
    "number", ["nan", "inf", "1e308", 1e308, 10**40, 2**63, -(2**63) - 1], ids=str
)
async def test_size_limits_no_number_in_a_body_is_too_large_to_be_refused(
    either: Platform, number: object
) -> None:
    """As an option of a run, of a token, and of a queue; a text that says so is no number."""
    options = ("priority", "maxDuration", "maxAttempts", "ttl", "delay", "idempotencyKeyTTL")
    for name in options:
        body = {"payload": 1, "options": {name: number}}
        answer = await either.http.post("/api/v1/tasks/t/trigger", json=body)
        assert answer.status_code < 500, (name, answer.text)
    for path, body in (
        ("/api/v1/waitpoints/tokens", {"timeout": number}),
        ("/api/v3/batches", {"runCount": number}),
        ("/api/v1/queues/q/concurrency/override", {"concurrencyLimit": number}),
        ("/api/v1/schedules", {"task": "t", "every": number}),
    ):
        answer = await either.http.post(path, json=body)
        assert 400 <= answer.status_code < 500, (path, answer.text)
    listed = await either.http.get("/api/v1/runs")
    assert listed.status_code == 200
    assert not {"NaN", "Infinity"} & set(listed.text.replace('"', " ").split())


async def test_size_limits_half_a_character_is_refused(either: Platform) -> None:
    """In texts that are read again, where the first parser does not see it."""
    token = (await either.http.post("/api/v1/waitpoints/tokens", json={})).json()
    options = {"metadata": '{"\\ud800":1}', "metadataType": "application/json"}
    called = await either.http.post(token["url"], content=b'"\\ud800"')
    made = await either.http.post("/api/v1/tasks/t/trigger", json={"options": options})

    assert (called.status_code, made.status_code) == (400, 400)
    assert (called.json()["code"], made.json()["code"]) == ("INVALID_JSON", "INVALID_JSON")


# --- Web sockets -----------------------------------------------------------------------------------------

NONSENSE = [
    '45999999999-/dev-worker,["run:subscribe",{"_placeholder":true,"num":0}]', "463-[]", "4", "42", "42{}",
    "42[]", "42[7]", "43", "4399", "44", "47", "4x", "42" + "[" * 5000, "4é",
    "499999999999999999-", "4" + "2" * 300,
    '42/dev-worker,["run:subscribe",{"runFriendlyIds":["x"]}]', "42/nowhere,[1]", "41", "6", "3probe",
]  # fmt: skip


async def _open(url: str) -> AioClient:
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    socket = await AioClient.connect(address)
    assert str(await socket.receive(timeout=20)).startswith("0{")
    return socket


async def test_size_limits_a_web_socket_keeps_nothing_of_a_stranger(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever is sent before a key is shown is neither kept nor answered, and fills no log."""
    async with listening() as platform:
        stranger = await _open(platform.server.url)
        for text in NONSENSE:
            await stranger.send(text)
        for _ in range(20):
            await stranger.send(b"x" * 500_000)
        async with connected(platform.server.url, platform.key) as client:
            assert (await client.frame()).startswith("40/dev-worker,")
            await client.ask("run:subscribe", {"runFriendlyIds": []})
        servers = [one for one in gc.get_objects() if isinstance(one, AsyncServer)]
        assert [one._binary_packet for one in servers] == [{}] * len(servers) != []
        await stranger.close()
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


async def test_size_limits_a_message_of_a_web_socket_has_an_end() -> None:
    """One that is larger ends the connection."""
    async with listening() as platform:
        stranger = await _open(platform.server.url)
        await stranger.send("4" + "x" * 2_000_000)
        assert await asyncio.wait_for(_closed(stranger), 20)


async def _closed(socket: AioClient) -> bool:
    try:
        while True:
            await socket.receive(timeout=20)
    except Exception:  # noqa: BLE001 - the library has several words for it
        return True


# --- Who reads slowly ------------------------------------------------------------------------------------


def _send_for_ever(connection: socket.socket) -> None:
    connection.settimeout(20)
    while True:
        connection.sendall(b"x" * 65536)


@pytest.mark.slow
def test_rate_and_size_limits_an_answer_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    """The memory that it takes is free again; who reads slowly is waited for."""
    limits = {"TRIGGER_BODY_TIMEOUT": "1s"}
    started = Started(tmp_path / "t.db", env=limits)
    try:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(started.address)
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(started.address)
        with deaf, slow:
            request = b"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
            deaf.sendall(request * 40)
            slow.sendall(request * 40)
            slow.settimeout(20)
            began, taken = time.monotonic(), 0
            while time.monotonic() - began < 5:
                taken += len(slow.recv(65536))
                time.sleep(0.01)
            assert taken > 100_000
            assert slow.recv(1)
            with pytest.raises(ConnectionError):
                _send_for_ever(deaf)
    finally:
        started.end()
