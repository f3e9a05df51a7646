"""Waiting inside a task: the run gives its slot back and its process sleeps until the platform wakes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from trigger_core import duration, packet
from trigger_core.clock import SystemClock
from trigger_core.duration import Duration, Moment
from trigger_sdk import _lazy, idempotency_keys
from trigger_sdk._host import ForToken, RunHost, Until, Waited, current_run
from trigger_sdk.errors import TriggerError
from trigger_sdk.idempotency_keys import Key
from trigger_sdk.options import moment_text
from trigger_sdk.results import Pending, TokenResult, failure_of

if TYPE_CHECKING:
    from trigger_core.schemas.tokens import TokenDetail, TokenStatus

__all__ = [
    "Token",
    "complete_token",
    "complete_token_sync",
    "create_token",
    "create_token_sync",
    "for_",
    "for_sync",
    "for_token",
    "for_token_sync",
    "host",
    "list_tokens",
    "list_tokens_sync",
    "retrieve_token",
    "retrieve_token_sync",
    "until",
    "until_sync",
]

R = TypeVar("R")

_clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Token:
    """Something that is completed once, by whoever has its id and a key, or its address.

    Attributes:
        id: ``waitpoint_…``.
        url: a POST to it completes the token with the body; the address is the secret.
        public_access_token: lets a browser complete it, for a day.
        is_cached: whether a key found an earlier token.
    """

    id: str
    url: str
    public_access_token: str | None
    is_cached: bool


async def for_(
    length: Duration | None = None,
    /,
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
) -> None:
    """Wait for a while: ``wait.for_("1h30m")`` or ``wait.for_(minutes=5)``.

    Raises:
        TriggerError: the code does not execute in a run.
        InvalidDurationError: the length cannot be read.
    """
    await host().wait(Until(_after(length, timedelta(days, seconds, 0, 0, minutes, hours))))


def for_sync(
    length: Duration | None = None,
    /,
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
) -> None:
    """Wait like :func:`for_` in a task that is not ``async``."""
    host().wait_sync(Until(_after(length, timedelta(days, seconds, 0, 0, minutes, hours))))


async def until(moment: datetime | str) -> None:
    """Wait until a moment: an aware ``datetime`` or an ISO 8601 text. One that has passed does not wait."""
    await host().wait(Until(duration.resolve_delay(moment, _clock.now())))


def until_sync(moment: datetime | str) -> None:
    """Wait like :func:`until` in a task that is not ``async``."""
    host().wait_sync(Until(duration.resolve_delay(moment, _clock.now())))


async def create_token(
    *,
    timeout: Moment | None = None,
    tags: Sequence[str] = (),
    idempotency_key: Key | None = None,
    idempotency_key_ttl: Duration | None = None,
) -> Token:
    """Create a token: something to wait for that somebody completes, in code, over HTTP, or by its address.

    Args:
        timeout: how long, or until when, a completion is waited for; for ever unless given.
        tags: at most ten, to find it by.
        idempotency_key: the same key finds the same token.
        idempotency_key_ttl: how long the key answers; 30 days unless given.

    Raises:
        NoSessionError: no platform is known.
        ApiError: the platform refused.
    """
    remote = _lazy.remote()()
    return await remote.create_token(
        _token_request(timeout, tags, idempotency_key, idempotency_key_ttl)
    )


def create_token_sync(
    *,
    timeout: Moment | None = None,
    tags: Sequence[str] = (),
    idempotency_key: Key | None = None,
    idempotency_key_ttl: Duration | None = None,
) -> Token:
    """Create a token, blocking; see :func:`create_token`."""
    remote = _lazy.remote()()
    return remote.create_token_sync(
        _token_request(timeout, tags, idempotency_key, idempotency_key_ttl)
    )


@overload
def for_token(token: Token | str) -> Pending[TokenResult[Any], Any]: ...
@overload
def for_token(token: Token | str, kind: type[R]) -> Pending[TokenResult[R], R]: ...
def for_token(token: Token | str, kind: Any = None) -> Pending[TokenResult[Any], Any]:
    """Wait until a token is completed: ``await wait.for_token(token, Decision).unwrap()``.

    Args:
        token: the token, or its id.
        kind: what the data are read into; left as plain JSON values unless given.

    Raises:
        TriggerError: the code does not execute in a run.
        ApiError: there is no such token.
    """

    async def start() -> TokenResult[Any]:
        return token_result(await host().wait(ForToken(_token_id(token))), kind)

    return Pending(start)


@overload
def for_token_sync(token: Token | str) -> TokenResult[Any]: ...
@overload
def for_token_sync(token: Token | str, kind: type[R]) -> TokenResult[R]: ...
def for_token_sync(token: Token | str, kind: Any = None) -> TokenResult[Any]:
    """Wait until a token is completed, in a task that is not ``async``."""
    return token_result(host().wait_sync(ForToken(_token_id(token))), kind)


async def complete_token(token: Token | str, data: Any = None) -> None:
    """Complete a token; one that is completed already keeps its data."""
    await _lazy.remote()().complete_token(_token_id(token), data)


def complete_token_sync(token: Token | str, data: Any = None) -> None:
    """Complete a token, blocking."""
    _lazy.remote()().complete_token_sync(_token_id(token), data)


async def retrieve_token(token: Token | str) -> TokenDetail:
    """Read a token."""
    return await _lazy.remote()().retrieve_token(_token_id(token))


def retrieve_token_sync(token: Token | str) -> TokenDetail:
    """Read a token, blocking."""
    return _lazy.remote()().retrieve_token_sync(_token_id(token))


async def list_tokens(
    *, status: Sequence[TokenStatus] = (), tags: Sequence[str] = ()
) -> AsyncIterator[TokenDetail]:
    """Go through tokens, newest first, page by page as needed."""
    async for token in _lazy.remote()().list_tokens(status=status, tags=tags):
        yield token


def list_tokens_sync(
    *, status: Sequence[TokenStatus] = (), tags: Sequence[str] = ()
) -> Iterator[TokenDetail]:
    """Go through tokens, newest first, blocking."""
    yield from _lazy.remote()().list_tokens_sync(status=status, tags=tags)


def host() -> RunHost:
    """Return what executes the current run.

    Raises:
        TriggerError: the code does not execute in a run.
    """
    active = current_run.get()
    if active is None:
        raise TriggerError(
            "there is no run to wait in",
            code="NOT_IN_A_RUN",
            hint="call this inside a task; in a plain call of the function use asyncio.sleep",
        )
    return active.host


def _token_request(
    timeout: Moment | None, tags: Sequence[str], key: Key | None, key_ttl: Duration | None
) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "timeout": None if timeout is None else moment_text(timeout),
        "tags": list(tags) or None,
        "idempotencyKey": None if key is None else idempotency_keys.to_hash(key),
        "idempotencyKeyTTL": None if key_ttl is None else duration.to_text(key_ttl),
    }
    return {name: value for name, value in wire.items() if value is not None}


def token_result(waited: Waited, kind: Any) -> TokenResult[Any]:
    """Return how a wait for a token ended."""
    [ended] = waited.ended
    if not ended.ok:
        return TokenResult(ok=False, output=None, error=failure_of(ended))
    value = packet.to_plain(ended.output, ended.output_type)
    if kind is not None:
        value = _lazy.signature().read(kind, value)
    return TokenResult(ok=True, output=value, error=None)


def _token_id(token: Token | str) -> str:
    return token if isinstance(token, str) else token.id


def _after(length: Duration | None, named: timedelta) -> int:
    return _clock.now() + duration.parse_ms(named if length is None else length)
