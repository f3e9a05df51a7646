"""Options of a trigger: everything about a run but its payload."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from trigger_core import clock, duration
from trigger_core.duration import NO_LIMIT_S, Duration, Moment
from trigger_core.errors import ConfigError
from trigger_core.machines import PRESETS, MachineName
from trigger_sdk import _skew, idempotency_keys
from trigger_sdk._host import current_run
from trigger_sdk.idempotency_keys import IdempotencyKey, Key
from trigger_sdk.queue import Queue

__all__ = ["Debounce", "Options", "moment_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Debounce:
    """Collapse triggers of one key into one delayed run, each moving it later.

    Attributes:
        key: which triggers belong together, within a task; at most 512 characters.
        delay: how long the run waits after the latest trigger, at least a second.
        mode: ``"leading"`` keeps the data of the first trigger, ``"trailing"`` takes that of the newest.
        max_delay: the run fires at the latest this long after its first trigger; unbounded unless given.
    """

    key: str
    delay: Duration
    mode: Literal["leading", "trailing"] = "leading"
    max_delay: Duration | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the option as it is sent.

        Raises:
            InvalidDurationError: a duration cannot be read.
        """
        wire = {"key": self.key, "delay": duration.to_text(self.delay), "mode": self.mode}
        if self.max_delay is not None:
            wire["maxDelay"] = duration.to_text(self.max_delay)
        return wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``with_options`` takes.

    Attributes:
        delay: a duration, or the moment at which the run is queued.
        debounce: collapse triggers of one key into one delayed run.
        ttl: the run expires if no attempt has started by then.
        idempotency_key: one live run per task and key; a text is salted with the current run inside of one,
            ``"payload"`` makes the key of the payload.
        idempotency_key_ttl: how long the key answers; 30 days unless given.
        queue: another queue than the task's.
        concurrency_key: splits the queue; each key has the queue's limit for itself.
        priority: head start in the queue, in seconds.
        max_attempts: attempts in all.
        tags: at most ten.
        metadata: a JSON object kept with the run.
        max_duration: limit of one attempt's active time; ``"none"`` lifts the task's.
        machine: machine preset.
        version: run on this version of the code.
        external_deployment_id: run on what was deployed under this id of yours, such as a commit; a run waits
            up to an hour for it. Neither of the two said, ``TRIGGER_VERSION`` and
            ``TRIGGER_EXTERNAL_DEPLOYMENT_ID`` count outside of runs.
        test: marks the run as a test.
    """

    delay: Moment | None = None
    debounce: Debounce | None = None
    ttl: Duration | None = None
    idempotency_key: Key | None = None
    idempotency_key_ttl: Duration | None = None
    queue: str | Queue | None = None
    concurrency_key: str | None = None
    priority: float | None = None
    max_attempts: int | None = None
    tags: Sequence[str] | str | None = None
    metadata: Mapping[str, Any] | None = None
    max_duration: Duration | None = None
    machine: MachineName | None = None
    version: str | None = None
    external_deployment_id: str | None = None
    test: bool = False

    def to_wire(self, payload: str | None = None) -> dict[str, Any]:
        """Return the options as they are sent (protocol A.2), checked; ``payload`` is the packet's text.

        Raises:
            InvalidDurationError: a duration or moment cannot be read.
            ConfigError: there is no such machine preset.
        """
        if self.machine is not None and self.machine not in PRESETS:
            raise ConfigError(
                f"there is no machine preset {self.machine!r}",
                hint=f"presets: {', '.join(PRESETS)}",
            )
        wire: dict[str, Any] = {
            "delay": None if self.delay is None else moment_text(self.delay),
            "debounce": None if self.debounce is None else self.debounce.to_wire(),
            "ttl": None if self.ttl is None else duration.to_text(self.ttl),
            "concurrencyKey": self.concurrency_key,
            "priority": self.priority,
            "maxAttempts": self.max_attempts,
            "metadata": None if self.metadata is None else dict(self.metadata),
            "machine": self.machine,
            "test": self.test or None,
        }
        wire |= (
            self._queue()
            | self._tags()
            | self._key(payload)
            | self._max_duration()
            | self._version()
            | _lineage()
        )
        return {name: value for name, value in wire.items() if value is not None}

    def _queue(self) -> dict[str, Any]:
        if self.queue is None:
            return {}
        return {"queue": {"name": self.queue if isinstance(self.queue, str) else self.queue.name}}

    def _tags(self) -> dict[str, Any]:
        if self.tags is None:
            return {}
        return {"tags": [self.tags] if isinstance(self.tags, str) else list(self.tags)}

    def _version(self) -> dict[str, Any]:
        """Return the version or the deployment to run on; the version wins."""
        if self.version is not None:
            return {"lockToVersion": self.version}
        if self.external_deployment_id is not None:
            return {"externalDeploymentId": self.external_deployment_id}
        return _skew.discover(os.environ) if current_run.get() is None else {}

    def _max_duration(self) -> dict[str, Any]:
        if self.max_duration is None:
            return {}
        if self.max_duration == "none":
            return {"maxDuration": NO_LIMIT_S}
        return {"maxDuration": duration.parse_ms(self.max_duration) / 1000}

    def _key(self, payload: str | None) -> dict[str, Any]:
        key = self.idempotency_key
        if key is None:
            return {}
        if key == "payload":
            key = idempotency_keys.of_payload(payload)
        if not isinstance(key, IdempotencyKey):
            key = idempotency_keys.create(key)
        wire: dict[str, Any] = {"idempotencyKey": key.hash}
        if key.scope is not None:
            wire["idempotencyKeyOptions"] = {"key": key.key, "scope": key.scope}
        if self.idempotency_key_ttl is not None:
            wire["idempotencyKeyTTL"] = duration.to_text(self.idempotency_key_ttl)
        return wire


def moment_text(delay: Moment) -> str:
    """Return a moment or a delay as it is sent, checked.

    Raises:
        InvalidDurationError: it cannot be read.
    """
    if isinstance(delay, datetime):
        return clock.to_iso(duration.resolve_delay(delay, 0))
    if isinstance(delay, str):
        duration.resolve_delay(delay, 0)
        return delay
    return duration.to_text(delay)


def _lineage() -> dict[str, Any]:
    """A run that is triggered inside another is its child."""
    active = current_run.get()
    return {} if active is None else {"parentRunId": active.ctx.run.id}
