"""Localhost dev server: a page that a developer visits reaches nothing of his platform."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import Message

from support.dev import clean_env
from support.http import PROJECT
from trigger_platform.http import peer
from trigger_platform.http.guard import Guard

_NOBODY = 65534


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        ("127.0.0.1:8030", None, True),
        ("127.0.0.1:8030", "http://127.0.0.1:8030", True),
        ("rebound.example:8030", None, False),
        ("rebound.example:8030", "http://rebound.example:8030", False),
        ("127.0.0.1:8030", "https://evil.example", False),
        ("127.0.0.1:8030", "null", False),
        ("127.0.0.1:8030", "http://127.0.0.1:8031", False),
        ("127.0.0.1:8030", "http://127.0.0.1:8030.evil.example", False),
        ("localhost:8030", "http://localhost:8030", True),
        ("[::1]:8030", None, True),
        ("LOCALHOST", None, True),
        ("localhost.", None, False),
        ("localhost.evil.example", None, False),
        ("127.0.0.1.evil.example:8030", None, False),
        ("localhost:80@evil.example", None, False),
        ("127.0.0.1:8030#@evil.example", None, False),
        ("127.0.0.1/evil.example", None, False),
        ("[::1]evil.example", None, False),
        ("127.0.0.1:8030, evil.example", None, False),
        ("", None, False),
    ],
)
async def test_localhost_dev_server_a_page_of_another_name_gets_nothing(
    kind: str, host: str, origin: str | None, passes: bool
) -> None:
    """Requests and web sockets alike: Host against rebinding, Origin against pages from elsewhere."""
    reached: list[str] = []
    sent: list[Message] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        reached.append(scope["type"])

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    scope = {"type": kind, "headers": headers, "server": ("127.0.0.1", 8030), "path": "/"}
    if kind == "http":
        scope["method"] = "POST"
    await Guard(app)(scope, receive, send)

    assert bool(reached) is passes
    if not passes:
        assert sent[0].get("status", 1008) in {403, 1008}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The platform that ``trigger dev`` starts."""
    folder = tmp_path_factory.mktemp("dev") / ".trigger"
    command = [sys.executable, "-m", "trigger_platform", "--data-dir", folder, "--project", PROJECT]
    with subprocess.Popen(
        command, env=clean_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        ready = json.loads(process.stdout.readline())
        yield ready | {"folder": str(folder)}
        process.stdin.close()


def _ask(ready: dict[str, str], *lines: str, path: str = "/", method: str = "GET") -> str:
    place = urlsplit(ready["url"])
    text = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "connection: close", "", ""])
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(text.encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def test_localhost_dev_server_a_name_that_is_bound_anew_gets_nothing(
    embedded: dict[str, str],
) -> None:
    """Pages, the API, streams, files and web sockets: all of them ask by which name they are called."""
    port = urlsplit(embedded["url"]).port
    upgrade = (
        "upgrade: websocket",
        "sec-websocket-version: 13",
        f"sec-websocket-key: {'A' * 22}==",
    )
    places = ["/", "/static/app.css", "/openapi.json", "/healthz", "/live/runs", "/api/v1/runs"]
    for path in (*places, "/socket.io/?EIO=4&transport=websocket"):
        extra = (*upgrade, "connection: upgrade") if "socket.io" in path else ()
        answer = _ask(embedded, f"host: evil.example:{port}", *extra, path=path)
        assert answer.startswith("HTTP/1.1 403"), path
        assert "trigger" not in answer.partition("\r\n\r\n")[2].lower(), path
    assert _ask(embedded, f"host: 127.0.0.1:{port}").startswith("HTTP/1.1 200")


def test_localhost_dev_server_a_page_elsewhere_posts_nothing(embedded: dict[str, str]) -> None:
    """To a form of the dashboard, to the API, and to a web socket."""
    port = urlsplit(embedded["url"]).port
    here = f"host: 127.0.0.1:{port}"
    for origin in (
        "https://evil.example",
        "null",
        "http://localhost:1",
        f"http://localhost:{port}",
    ):
        for path in ("/runs/run_x/cancel", "/api/v1/tasks/t/trigger", "/otel/v1/traces"):
            answer = _ask(
                embedded, here, f"origin: {origin}", "content-length: 0", path=path, method="POST"
            )
            assert answer.startswith("HTTP/1.1 403"), (origin, path)


def _as_another_user(
    ready: dict[str, str], request: str, *lines: str, body: str = ""
) -> socket.socket:
    """Send a request over a connection that a program of another user opened."""
    place = urlsplit(ready["url"])
    length = f"content-length: {len(body)}"
    text = "\r\n".join(
        [request, f"host: {place.netloc}", "connection: close", length, *lines, "", body]
    )
    os.seteuid(_NOBODY)  # a socket belongs to who opens it
    try:
        connection = socket.socket()
    finally:
        os.seteuid(0)
    connection.settimeout(20)
    connection.connect((place.hostname, place.port))
    connection.sendall(text.encode())
    return connection


def _answer(connection: socket.socket) -> str:
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_localhost_dev_server_another_user_of_the_machine_sees_no_page(
    embedded: dict[str, str],
) -> None:
    """And changes nothing, not even when the connection is closed before it is looked at."""
    for path in ("/", "/variables", "/keys", "/tokens", "/live/runs"):
        answer = _answer(_as_another_user(embedded, f"GET {path} HTTP/1.1"))
        assert answer.startswith("HTTP/1.1 403"), answer
        assert "OTHER_USER" in answer
    form, body = "content-type: application/x-www-form-urlencoded", "name=STOLEN&value=1"
    for is_reset in (False, True) * 5:
        connection = _as_another_user(embedded, "POST /variables HTTP/1.1", form, body=body)
        if is_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    refused = _as_another_user(embedded, "POST /variables HTTP/1.1", form, body=body)
    assert _answer(refused).startswith("HTTP/1.1 403")
    key = f"authorization: Bearer {embedded['secretKey']}"
    known = _answer(_as_another_user(embedded, "GET /api/v1/runs HTTP/1.1", key))
    assert known.startswith("HTTP/1.1 200"), "whoever has the key may call"

    here = f"host: {urlsplit(embedded['url']).netloc}"
    shown = _ask(embedded, here, path="/variables")
    assert shown.startswith("HTTP/1.1 200")
    assert "STOLEN" not in shown


def test_localhost_dev_server_knows_whose_a_connection_is() -> None:
    """While it lasts: one that is over is nobody's."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((host, 0), family=family) as listener:
            with socket.create_connection(listener.getsockname()[:2]) as client:
                ends = client.getsockname()[:2], client.getpeername()[:2]
                assert peer.is_ours(*ends)
                assert not peer.is_ours(ends[0], (host, 1))
            assert not peer.is_ours(*ends)


def test_localhost_dev_server_its_files_are_its_owners_alone(embedded: dict[str, str]) -> None:
    """The database and the key: other users of the machine read neither."""
    files = [one for one in Path(embedded["folder"]).rglob("*") if one.is_file()]
    assert {"trigger.db", "secret.key"} <= {one.name for one in files}
    for one in files:
        assert one.stat().st_mode & 0o077 == 0, one


def test_localhost_dev_server_listens_on_this_machine_alone(tmp_path: Path) -> None:
    """There is no option by which others reach a dashboard that nobody logs in to."""
    command = [
        sys.executable,
        "-m",
        "trigger_platform",
        "--data-dir",
        tmp_path,
        "--project",
        PROJECT,
    ]
    shown = subprocess.run(
        [*command, "--host", "0.0.0.0"],  # noqa: S104
        env=clean_env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert shown.returncode == 1
    assert "NOT_LOOPBACK" in shown.stdout
