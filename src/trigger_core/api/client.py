"""Sending calls: one sync and one async client over the same rules.

What is retried and how an answer becomes an error is decided by pure functions; the clients only send and
sleep.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import httpx

from trigger_core import packet
from trigger_core.api.call import Answer, Call
from trigger_core.api.events import Event, events, events_sync
from trigger_core.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    ConnectionFailedError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    TriggerError,
    UnprocessableError,
)
from trigger_core.packet import Packet

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")

_API_VERSION = "2025-07-16"
_TRIES = 6
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_TOO_LARGE = 413

_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableError,
}


@dataclass(frozen=True, slots=True)
class _Target:
    """Where calls go, and with which key."""

    api_url: str
    key: str
    source: str

    def request(self, client: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
        """Build a request; sent again it stays the same request."""
        headers = {
            "authorization": f"Bearer {self.key}",
            "x-trigger-api-version": _API_VERSION,
            "x-trigger-source": self.source,
            "x-trigger-realtime-streams-version": "v1",
            "trigger-version": _own_version(),
        }
        headers |= call.headers
        if call.method != "GET":
            headers["x-trigger-request-idempotency-key"] = str(uuid.uuid4())
        content = call.content
        if call.body is not None:
            content = json.dumps(call.body, ensure_ascii=False, separators=(",", ":")).encode()
            headers["content-type"] = "application/json"
        timeout = _TIMEOUT if call.timeout_s is None else httpx.Timeout(call.timeout_s, connect=5.0)
        return client.build_request(
            call.method,
            self.api_url.rstrip("/") + call.path,
            params=dict(call.params) or None,
            headers=headers,
            content=content,
            timeout=timeout,
        )

    def unreachable(self, error: Exception) -> ConnectionFailedError:
        """Return the error for a platform that does not answer."""
        return ConnectionFailedError(
            f"the platform at {self.api_url} cannot be reached",
            because=str(error) or type(error).__name__,
            hint="is `trigger dev` running? check TRIGGER_API_URL",
        )


class Client:
    """Sends calls and blocks; may be shared between threads."""

    def __init__(self, api_url: str, key: str, *, source: str = "sdk") -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            api_url: where the platform answers.
            key: an environment's secret key, or a personal access token.
            source: what is recorded as the origin: ``sdk``, ``cli`` or ``mcp``.
        """
        self._target = _Target(api_url, key, source)
        self._http = httpx.Client(timeout=_TIMEOUT)

    def send(self, call: Call[T]) -> T:
        """Send a call and return its value.

        Raises:
            ApiError: the platform refused; the subclass says how.
            ConnectionFailedError: it did not answer, after several tries.
        """
        return call.read(self._answer(self._target.request(self._http, call), call.accepts))

    def download(self, address: str) -> Packet:
        """Return the packet at an address that the platform gave; raises as :meth:`send` does."""
        return _packet(self._answer(self._http.build_request("GET", address)))

    def _answer(self, request: httpx.Request, accepts: frozenset[int] = frozenset()) -> Answer:
        failure: TriggerError | None = None
        for attempt in range(_TRIES):
            if failure is not None:
                time.sleep(_pause(attempt))
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                failure = self._target.unreachable(error)
                continue
            failure = _failure(response, accepts)
            if failure is None:
                return Answer(response.content, response.headers, response.status_code)
            if not failure.retryable:
                break
        assert failure is not None
        raise failure

    def stream(self, call: Call[None], read: Callable[[str, str], T]) -> Iterator[T]:
        """Yield server-sent events; ``read`` is given each event's name and data.

        Raises:
            ApiError, ConnectionFailedError, httpx.TransportError: as :meth:`events` does.
        """
        for event in self.events(call):
            yield read(event.name, event.data)

    def events(self, call: Call[None]) -> Iterator[Event]:
        """Yield server-sent events until the platform ends them.

        Raises:
            ApiError: the platform refused.
            ConnectionFailedError: it cannot be reached.
            httpx.TransportError: the connection broke on the way.
        """
        request = self._target.request(self._http, call)
        try:
            response = self._http.send(request, stream=True)
        except httpx.ConnectError as error:
            raise self._target.unreachable(error) from error
        with closing(response):
            if not response.is_success:
                response.read()
                failure = _failure(response)
                assert failure is not None
                raise failure
            yield from events_sync(response.iter_lines())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncClient:
    """Sends calls from an event loop; belongs to the loop it is first used on."""

    def __init__(self, api_url: str, key: str, *, source: str = "sdk") -> None:
        """Prepare a client; see :class:`Client` for the arguments."""
        self._target = _Target(api_url, key, source)
        self._http = httpx.AsyncClient(timeout=_TIMEOUT)

    async def send(self, call: Call[T]) -> T:
        """Send a call and return its value; raises as :meth:`Client.send` does."""
        return call.read(await self._answer(self._target.request(self._http, call), call.accepts))

    async def download(self, address: str) -> Packet:
        """Return the packet at an address that the platform gave; raises as :meth:`Client.send` does."""
        return _packet(await self._answer(self._http.build_request("GET", address)))

    async def _answer(
        self, request: httpx.Request, accepts: frozenset[int] = frozenset()
    ) -> Answer:
        failure: TriggerError | None = None
        for attempt in range(_TRIES):
            if failure is not None:
                await asyncio.sleep(_pause(attempt))
            try:
                response = await self._http.send(request)
            except httpx.TransportError as error:
                failure = self._target.unreachable(error)
                continue
            failure = _failure(response, accepts)
            if failure is None:
                return Answer(response.content, response.headers, response.status_code)
            if not failure.retryable:
                break
        assert failure is not None
        raise failure

    async def events(self, call: Call[None]) -> AsyncIterator[Event]:
        """Yield server-sent events until the platform ends them; raises as :meth:`Client.events` does."""
        request = self._target.request(self._http, call)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.ConnectError as error:
            raise self._target.unreachable(error) from error
        async with aclosing(response):
            if not response.is_success:
                await response.aread()
                failure = _failure(response)
                assert failure is not None
                raise failure
            async for event in events(response.aiter_lines()):
                yield event

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _packet(answer: Answer) -> Packet:
    """Its type is the one it was uploaded with."""
    kind = answer.headers.get("content-type", packet.JSON).partition(";")[0].strip()
    return Packet(answer.body.decode(), kind)


def _pause(attempt: int) -> float:
    return float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (attempt - 1)))


@cache
def _own_version() -> str:
    try:
        return version("trigger-dev")
    except PackageNotFoundError:
        return "0"


def _failure(
    response: httpx.Response, accepts: frozenset[int] = frozenset()
) -> TriggerError | None:
    """Turn an unsuccessful answer into the error that stands for it (protocol 0.3, 0.4)."""
    if response.is_success or response.status_code in accepts:
        return None
    details = _details(response)
    if response.status_code == _TOO_LARGE:
        return PayloadTooLargeError(
            details["what"], because=details["because"], hint=details["hint"]
        )
    kind = _BY_STATUS.get(response.status_code, ApiError)
    what = details.pop("what") or f"status {response.status_code}"
    error = kind(what, status=response.status_code, **details)
    wish = response.headers.get("x-should-retry")
    if wish is not None:
        error.retryable = wish == "true"
    return error


def _details(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = {"error": f"{response.status_code} {response.text[:200]}"}
    said = body.get("error") if isinstance(body, dict) else body
    if isinstance(said, dict):
        said = said.get("message")
    found = body if isinstance(body, dict) else {}
    return {
        "what": str(said),
        "code": found.get("code"),
        "because": found.get("because"),
        "hint": found.get("fix"),
    }
