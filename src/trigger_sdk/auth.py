"""Public tokens: what a browser may do without the secret key.

They are signed here, with the secret key of the environment; the platform is asked only which one it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from trigger_core.duration import Duration
from trigger_core.errors import ConfigError
from trigger_sdk import _lazy

if TYPE_CHECKING:
    from trigger_sdk.item import TaskTarget
    from trigger_sdk.runs import Column

__all__ = [
    "Scope",
    "create_public_token",
    "create_public_token_sync",
    "create_trigger_public_token",
    "create_trigger_public_token_sync",
    "revoke_public_token",
    "revoke_public_token_sync",
]


class _Named(Protocol):
    """What has an id: a task, the handle of a run or a batch, a token that is waited for."""

    @property
    def id(self) -> str: ...


Names: TypeAlias = "str | _Named | Sequence[str | _Named] | bool"

_WIRE_TYPES = {"input_streams": "inputStreams"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an action is allowed on: ids, or things that have one, or ``True`` for all of a kind.

    A run can be reached by its own id, its task, one of its tags or its batch.
    """

    runs: Names = False
    tasks: Names = False
    tags: Names = False
    batch: Names = False
    waitpoints: Names = False
    input_streams: Names = False

    def texts(self, action: str) -> Iterator[str]:
        """Go through the scopes as the token carries them."""
        for kind in (field.name for field in fields(self)):
            names: Names = getattr(self, kind)
            prefix = f"{action}:{_WIRE_TYPES.get(kind, kind)}"
            if names is True:
                yield prefix
            elif names is not False:
                for name in _each(names):
                    yield f"{prefix}:{name}"


def _each(names: str | _Named | Sequence[str | _Named]) -> Iterator[str]:
    listed = names if isinstance(names, Sequence) and not isinstance(names, str) else [names]
    for one in listed:
        yield one if isinstance(one, str) else one.id


async def create_public_token(
    *,
    read: Scope | None = None,
    write: Scope | None = None,
    expires_in: Duration = "15m",
    skip_columns: Sequence[Column] = (),
) -> str:
    """Make a token for a browser, for example ``read=Scope(runs=["run_1"], tags=["user_1"])``.

    Args:
        read: what it may read.
        write: what it may write.
        expires_in: for how long it is good.
        skip_columns: what its holder does not see of runs that it follows.

    Raises:
        ConfigError: it would allow nothing.
        NoSessionError: no platform is known.
    """
    return await _lazy.remote()().sign_token(_claims(read, write, skip_columns), expires_in)


def create_public_token_sync(
    *,
    read: Scope | None = None,
    write: Scope | None = None,
    expires_in: Duration = "15m",
    skip_columns: Sequence[Column] = (),
) -> str:
    """Make a token, blocking; see :func:`create_public_token`."""
    return _lazy.remote()().sign_token_sync(_claims(read, write, skip_columns), expires_in)


async def create_trigger_public_token(
    task: TaskTarget[Any] | str, *, once: bool = True, expires_in: Duration = "15m"
) -> str:
    """Make a token with which a browser triggers a run of a task, or with ``once=False`` many."""
    return await _lazy.remote()().sign_token(_trigger_claims(task, once=once), expires_in)


def create_trigger_public_token_sync(
    task: TaskTarget[Any] | str, *, once: bool = True, expires_in: Duration = "15m"
) -> str:
    """Make a token that triggers, blocking; see :func:`create_trigger_public_token`."""
    return _lazy.remote()().sign_token_sync(_trigger_claims(task, once=once), expires_in)


async def revoke_public_token(token: str) -> None:
    """Refuse a public token from now on: the token itself, or the id (``jti``) of one the platform signed.

    A token that was signed here and has no id is revoked by itself.

    Raises:
        NotFoundError: it is of another environment.
        UnprocessableError: it was not signed with a key of this environment.
    """
    await _lazy.remote()().revoke_token(token)


def revoke_public_token_sync(token: str) -> None:
    """Refuse a public token, blocking; see :func:`revoke_public_token`."""
    _lazy.remote()().revoke_token_sync(token)


def _claims(read: Scope | None, write: Scope | None, skip_columns: Sequence[str]) -> dict[str, Any]:
    scopes = [
        *(read.texts("read") if read else ()),
        *(write.texts("write") if write else ()),
    ]
    if not scopes:
        raise ConfigError(
            "the token would allow nothing", hint='read=Scope(runs=["run_1"]), or write=…'
        )
    claims: dict[str, Any] = {"scopes": scopes}
    return claims | {"realtime": {"skipColumns": [*skip_columns]}} if skip_columns else claims


def _trigger_claims(task: TaskTarget[Any] | str, *, once: bool) -> dict[str, Any]:
    """The number makes two tokens of one second different: each is good for a run of its own."""
    task_id = task if isinstance(task, str) else task.id
    claims: dict[str, Any] = {"scopes": [f"trigger:tasks:{task_id}"]}
    return claims | {"otu": True, "jti": os.urandom(16).hex()} if once else claims
