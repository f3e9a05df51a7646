"""Clients that are slow, many or without end: real sockets against a real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from support.dev import until
from support.server import Started

pytestmark = pytest.mark.slow

_LIMITS = {
    "TRIGGER_HEADER_TIMEOUT": "1s",
    "TRIGGER_BODY_TIMEOUT": "1s",
    "TRIGGER_MAX_CONNECTIONS": "40",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A server with short limits."""
    started = Started(tmp_path_factory.mktemp("slow") / "platform.db", env=_LIMITS)
    yield started
    started.end()


def _connect(server: Started) -> socket.socket:
    return socket.create_connection(server.address, timeout=20)


def _all(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def _head(server: Started, length: int) -> bytes:
    return (
        f"POST /api/v1/tasks/t/trigger HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"authorization: Bearer {server.ready['secretKey']}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("begin", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n"])
def test_headers_that_do_not_end_cost_a_second(server: Started, begin: bytes) -> None:
    """As the setting says; nothing at all is no beginning either."""
    began = time.monotonic()
    with _connect(server) as connection:
        connection.sendall(begin)
        answer = _all(connection)

    assert answer.startswith(b"HTTP/1.1 408")
    assert 0.8 < time.monotonic() - began < 10


def test_a_header_every_moment_does_not_help(server: Started) -> None:
    """Slowloris: the headers as a whole must arrive in time."""
    began = time.monotonic()
    with _connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        connection.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() - began < 10:
            connection.sendall(b"x-more: 1\r\n")
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 10


def test_headers_without_end_are_refused_before_they_fill_the_memory(server: Started) -> None:
    """However fast they come."""
    with _connect(server) as connection:
        sent = 0
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n")
            while sent < 64 * 1024 * 1024:
                line = b"x-more: " + b"y" * 8000 + b"\r\n"
                connection.sendall(line)
                sent += len(line)
        except ConnectionError:
            pass
    assert sent < 16 * 1024 * 1024


def test_a_body_that_stops_is_given_up(server: Started) -> None:
    """After the time that the setting gives it; one that goes on slowly is read."""
    with _connect(server) as connection:
        connection.sendall(_head(server, 100) + b"{")
        assert _all(connection) == b""

    with _connect(server) as connection:
        body = b'{"payload": "slow"}'
        connection.sendall(_head(server, len(body)))
        for n in range(len(body)):
            connection.settimeout(0.15)
            try:
                assert connection.recv(1) != b"", "it was given up"
            except TimeoutError:
                connection.sendall(body[n : n + 1])
        connection.settimeout(20)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_that_is_too_large_is_refused_by_its_length(server: Started) -> None:
    """Before a byte of it is read."""
    with _connect(server) as connection:
        connection.sendall(_head(server, 10 * 1024 * 1024 * 1024))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_connections_beyond_the_limit_are_refused_and_the_others_served(server: Started) -> None:
    """When some of them end, there is room again."""
    with httpx.Client(base_url=server.ready["url"]) as client, ExitStack() as stack:
        assert client.get("/healthz").status_code == 200
        for _ in range(60):
            stack.enter_context(_connect(server))
        assert client.get("/healthz").status_code == 200
        with _connect(server) as one_more:
            assert _all(one_more).startswith(b"HTTP/1.1 503")

    def is_served() -> bool:
        try:
            return httpx.get(f"{server.ready['url']}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    until(is_served, what="room")


def test_a_machine_that_allows_few_open_files_allows_few_connections(tmp_path: Path) -> None:
    """Those beyond are refused at once, instead of never being accepted."""
    server = Started(tmp_path / "platform.db", files=128)
    with httpx.Client(base_url=server.ready["url"]) as client, ExitStack() as stack:
        assert client.get("/healthz").status_code == 200
        for _ in range(80):
            stack.enter_context(_connect(server))
        assert client.get("/readyz").status_code == 200
        with _connect(server) as one_more:
            assert _all(one_more).startswith(b"HTTP/1.1 503")
    assert server.stop()[0] == 0


def test_two_hundred_slow_clients_hold_nobody_up(tmp_path: Path) -> None:
    """Each of them sends a part of its headers and waits."""
    server = Started(tmp_path / "platform.db")
    headers = {"authorization": f"Bearer {server.ready['secretKey']}"}
    with (
        httpx.Client(base_url=server.ready["url"], headers=headers) as client,
        ExitStack() as stack,
    ):
        for _ in range(200):
            connection = stack.enter_context(_connect(server))
            connection.sendall(b"POST /api/v1/tasks/t/trigger HTTP/1.1\r\nhost: 127")
        for _ in range(20):
            assert client.post("/api/v1/tasks/t/trigger", json={}).status_code == 200
        began = time.monotonic()
        assert client.post("/api/v1/tasks/t/trigger", json={}).status_code == 200
        assert time.monotonic() - began < 2
    server.stop()


def test_an_answer_comes_in_one_piece(server: Started) -> None:
    """Its head does not go out before its body: a server that dies in between has told nothing."""
    with _connect(server) as connection:
        for _ in range(5):
            connection.sendall(_head(server, 2) + b"{}")
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"}")
