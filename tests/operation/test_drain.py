"""A server that is told to end: nobody loses a request. Real processes, real sockets."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM
from typing import Any

import httpx
import psycopg
import pytest

from support import postgres
from support.dev import until
from support.server import Started

pytestmark = pytest.mark.slow


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """A server on a new database."""
    server = Started(tmp_path / "platform.db")
    yield server
    server.end()


def _headers(server: Started) -> dict[str, str]:
    return {"authorization": f"Bearer {server.ready['secretKey']}"}


class _Client(threading.Thread):
    """Triggers for ever; goes to the next server when one refuses the connection, and only then."""

    def __init__(self, servers: list[Started], *, keeps: bool) -> None:
        super().__init__(daemon=True)
        self._addresses = [one.address for one in servers]
        self._headers = _headers(servers[0]) | ({} if keeps else {"connection": "close"})
        self._ending = threading.Event()
        self._target = 0
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self.switches = 0

    def run(self) -> None:
        """Until it is told to end."""
        connection = self._connection()
        while not self._ending.is_set():
            try:
                connection.request("POST", "/api/v1/tasks/t/trigger", "{}", self._headers)
                answer = connection.getresponse()
                body = answer.read()
            except ConnectionRefusedError:
                self.switches += 1
                self._target = (self._target + 1) % len(self._addresses)
                connection = self._connection()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection = self._connection()
            else:
                self._take(answer.status, body)
        connection.close()

    def end(self) -> None:
        """End after the request under way."""
        self._ending.set()
        self.join(timeout=30)

    def _take(self, status: int, body: bytes) -> None:
        if status == 200:
            self.acknowledged.append(json.loads(body)["id"])
        else:
            self.failures.append(f"{status}: {body!r}")

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._addresses[self._target], timeout=30)


def test_two_servers_restart_one_after_the_other_without_a_failed_request() -> None:
    """Eight clients trigger all the time; every run they were told of is there, and no other."""
    url = postgres.empty_database()
    servers = [Started(url), Started(url)]
    clients = [_Client(servers, keeps=n % 2 == 0) for n in range(8)]
    for client in clients:
        client.start()
    for n, server in enumerate(servers):
        _wait_for_more(clients)
        code, lines = server.stop()
        assert code == 0, lines
        _wait_for_more(clients)
        servers[n] = Started(url, port=server.address[1])
    _wait_for_more(clients)
    for client in clients:
        client.end()

    acknowledged = [run_id for client in clients for run_id in client.acknowledged]
    assert [failure for client in clients for failure in client.failures] == []
    assert sum(client.switches for client in clients) >= len(clients)
    with psycopg.connect(url) as connection:
        found = [row[0] for row in connection.execute("select id from run").fetchall()]
    assert sorted(acknowledged) == sorted(found)
    assert [server.stop()[0] for server in servers] == [0, 0]


def _wait_for_more(clients: list[_Client]) -> None:
    """Let every client be answered ten times more."""
    seen = [len(client.acknowledged) + 10 for client in clients]
    until(
        lambda: all(
            len(client.acknowledged) >= count or client.failures
            for client, count in zip(clients, seen, strict=True)
        ),
        60,
        "more triggers",
    )


def test_who_waits_is_let_go_at_once(started: Started) -> None:
    """A worker's long poll gets its empty answer and the word to come elsewhere; a stream ends."""
    base, headers = started.ready["url"], _headers(started)
    with httpx.Client(base_url=base, headers=headers, timeout=30) as client:
        run_id = client.post("/api/v1/tasks/t/trigger", json={}).json()["id"]
        seat = {"instance": "dev", "bootId": "b1"}
        client.post("/engine/v1/worker/connect", json=seat)
        answers: dict[str, httpx.Response] = {}
        poll = {"bootId": "b1", "workers": [], "limit": 1, "waitMs": 30_000}

        def ask(name: str, method: str, path: str, body: Any = None) -> None:
            answers[name] = client.request(method, path, json=body)

        threads = [
            threading.Thread(target=ask, args=("poll", "POST", "/engine/v1/worker/poll", poll)),
            threading.Thread(target=ask, args=("follow", "GET", f"/api/v1/runs/{run_id}/follow")),
        ]
        for thread in threads:
            thread.start()
        until(lambda: _is_read(started, 2), what="both waiting")
        began = time.monotonic()
        code, lines = started.stop()
        for thread in threads:
            thread.join(timeout=10)

    assert (code, time.monotonic() - began < 5) == (0, True), lines
    assert answers["poll"].json()["runs"] == []
    assert answers["poll"].headers["connection"] == "close"
    assert "event: run" in answers["follow"].text


def test_a_request_under_way_is_answered(started: Started) -> None:
    """Its second half arrives after the server was told to end."""
    body = b'{"payload": 1}'
    with socket.create_connection(started.address, timeout=20) as connection:
        connection.sendall(_head(started, len(body)) + body[:3])
        until(lambda: _is_read(started), what="reading")
        started.process.send_signal(SIGTERM)
        until(lambda: _refuses(started), what="refusing")
        connection.sendall(body[3:])
        answer = _read_all(connection)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
    assert started.process.wait(timeout=10) == 0


def test_who_reached_it_before_it_refused_is_answered(started: Started) -> None:
    """Connections and requests that the kernel holds while the server is told to end."""
    body = b"{}"
    started.process.send_signal(SIGSTOP)
    connections = [socket.create_connection(started.address, timeout=20) for _ in range(50)]
    for connection in connections[::2]:
        connection.sendall(_head(started, len(body)) + body)
    started.process.send_signal(SIGTERM)
    started.process.send_signal(SIGCONT)
    until(lambda: _refuses(started), what="refusing")
    for connection in connections[1::2]:
        connection.sendall(_head(started, len(body)) + body)

    for connection in connections:
        with connection:
            assert _read_all(connection).startswith(b"HTTP/1.1 200")
    assert started.process.wait(timeout=10) == 0


def test_told_twice_it_ends_at_once(started: Started) -> None:
    """Whatever is under way; what was acknowledged is there."""
    with socket.create_connection(started.address, timeout=20) as connection:
        connection.sendall(_head(started, 100) + b"{")
        until(lambda: _is_read(started), what="reading")
        started.process.send_signal(SIGTERM)
        until(lambda: _refuses(started), what="refusing")
        assert started.process.poll() is None
        started.process.send_signal(SIGTERM)

        assert started.process.wait(timeout=5) == 130


def test_a_request_that_never_ends_costs_the_grace_time_and_no_more(tmp_path: Path) -> None:
    """Then the server ends without it."""
    started = Started(tmp_path / "platform.db", env={"TRIGGER_DRAIN_GRACE": "2s"})
    with socket.create_connection(started.address, timeout=20) as connection:
        connection.sendall(_head(started, 100) + b"{")
        until(lambda: _is_read(started), what="reading")
        began = time.monotonic()
        code, _ = started.stop()

    assert code == 0
    assert 1.5 < time.monotonic() - began < 10


def test_while_the_balancer_looks_away_requests_are_taken_and_readiness_is_denied(
    tmp_path: Path,
) -> None:
    """For as long as the setting says."""
    started = Started(tmp_path / "platform.db", env={"TRIGGER_DRAIN_DELAY": "3s"})
    url = started.ready["url"]
    assert httpx.get(f"{url}/readyz").status_code == 200
    started.process.send_signal(SIGTERM)
    until(lambda: httpx.get(f"{url}/readyz").status_code == 503, what="denying readiness")

    answer = httpx.post(f"{url}/api/v1/tasks/t/trigger", json={}, headers=_headers(started))
    assert answer.status_code == 200
    with closing(httpx.Client()) as client:
        assert client.get(f"{url}/healthz").headers["connection"] == "close"
    assert started.process.wait(timeout=10) == 0
    started.end()


def _head(server: Started, length: int) -> bytes:
    return (
        f"POST /api/v1/tasks/t/trigger HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"authorization: Bearer {server.ready['secretKey']}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def _is_read(server: Started, connections: int = 1) -> bool:
    """Tell whether so many are connected and nothing that they sent still waits in the kernel."""
    port = f"{server.address[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [row for row in rows if row[1].endswith(f":{port}") and row[3] == "01"]
    return len(ours) == connections and all(row[4].endswith(":00000000") for row in ours)


def _refuses(server: Started) -> bool:
    try:
        socket.create_connection(server.address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def _read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)
