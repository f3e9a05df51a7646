"""What the API client does when the platform asks to be left alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trigger_core.api.calls import auth
from trigger_core.api.client import AsyncClient, Client
from trigger_core.errors import RateLimitedError


class _Busy(BaseHTTPRequestHandler):
    """Refuses the first call, for half a second."""

    seen: list[float]

    def do_POST(self) -> None:
        self.seen.append(time.time())
        is_refused = len(self.seen) == 1
        self.send_response(429 if is_refused else 200)
        if is_refused:
            self.send_header("x-ratelimit-reset", str(round(time.time() * 1000) + 500))
        self.end_headers()
        self.wfile.write(b'{"error": "too many"}' if is_refused else b'{"sub": "e", "pub": true}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def busy() -> Iterator[str]:
    """The address of a platform that is busy at first."""
    _Busy.seen = []
    with HTTPServer(("127.0.0.1", 0), _Busy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_too_many_calls_are_tried_again_when_the_platform_says(busy: str, kind: str) -> None:
    """Not sooner."""

    async def send() -> str:
        client = AsyncClient(busy, "key")
        try:
            return (await client.send(auth.claims())).sub
        finally:
            await client.close()

    if kind == "sync":
        client = Client(busy, "key")
        assert client.send(auth.claims()).sub == "e"
        client.close()
    else:
        assert asyncio.run(send()) == "e"
    first, second = _Busy.seen
    assert second - first >= 0.45


def test_too_many_calls_have_an_error_of_their_own() -> None:
    """Worth another try."""
    assert RateLimitedError("too many", status=429).retryable
