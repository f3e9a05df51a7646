"""The worker's connections to the platform.

Calls are few, batched and long-polled, and every millisecond of one is a millisecond of a run's start. The
standard library's client costs half a millisecond of CPU a call, so each kind of call has a thread and a
kept-open connection of its own, and the event loop only hands over and takes back.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

from trigger_core.api.call import Answer, Call
from trigger_core.errors import (
    ApiError,
    AuthenticationError,
    ConnectionFailedError,
    TriggerError,
)

__all__ = ["Channel"]

T = TypeVar("T")

_TIMEOUT_S = 40.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_UNAUTHORIZED = 401
_SERVER_ERROR = 500
_OK = 300


class Channel:
    """One connection in one thread; a call is repeated until the platform has answered it."""

    def __init__(self, api_url: str, secret_key: str, name: str) -> None:
        self._url = urlsplit(api_url)
        self._headers = {
            "authorization": f"Bearer {secret_key}",
            "content-type": "application/json",
            "x-trigger-source": "worker",
        }
        self._connection: http.client.HTTPConnection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"channel-{name}")
        self._closed = False

    async def send(self, call: Call[T]) -> T:
        """Send a call, again and again while the platform is away.

        Raises:
            AuthenticationError: the key is wrong; trying again would not help.
            ApiError: the platform refused the call.
            ConnectionFailedError: the channel was closed meanwhile.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._send_until_answered, call)

    def close(self) -> None:
        """Give up the call in flight."""
        self._closed = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                connection.sock.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _send_until_answered(self, call: Call[T]) -> T:
        body = _text(call.body)
        pause = _FIRST_PAUSE_S
        while not self._closed:
            try:
                return self._send_once(call, body)
            except (OSError, http.client.HTTPException):
                self._disconnect()
            except ApiError as error:
                if not error.retryable:
                    raise
            if call.repeated and call.body is not None:
                body = _text({**call.body, **call.repeated})
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)
        raise ConnectionFailedError("the channel is closed")

    def _send_once(self, call: Call[T], body: bytes | None) -> T:
        connection = self._connected()
        connection.request(call.method, call.path, body, self._headers)
        response = connection.getresponse()
        data = response.read()
        if response.status >= _OK:
            raise _refusal(response.status, data)
        return call.read(Answer(data, {k.lower(): v for k, v in response.getheaders()}))

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            kind = (
                http.client.HTTPSConnection
                if self._url.scheme == "https"
                else http.client.HTTPConnection
            )
            connection = kind(self._url.hostname or "", self._url.port, timeout=_TIMEOUT_S)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _text(body: Mapping[str, Any] | None) -> bytes | None:
    if body is None:
        return None
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _refusal(status: int, data: bytes) -> TriggerError:
    try:
        body = json.loads(data)
        text = str(body.get("error"))
        code, because, hint = body.get("code"), body.get("because"), body.get("fix")
    except (ValueError, AttributeError):
        text, code, because, hint = data[:200].decode(errors="replace"), None, None, None
    kind = AuthenticationError if status == _UNAUTHORIZED else ApiError
    return kind(text, status=status, code=code, because=because, hint=hint)
