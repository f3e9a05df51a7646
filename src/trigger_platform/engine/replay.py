"""Replaying: a new run with the task, payload and options of an old one (RUN-014).

It takes the payload (or another), the seed of the metadata, tags, queue, concurrency key, machine, priority
and the test mark. What belonged to the one trigger stays behind: delay, time to live, attempts, version,
keys, and the parent, which does not wait for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trigger_core.errors import RunNotFoundError
from trigger_core.schemas.trigger import BatchItem, TriggerOptions
from trigger_platform.engine.trigger import Created, Triggering
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, PayloadRow, RunRow

__all__ = ["Payload", "run"]

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload as a trigger brings it: JSON as values, other packets as their text."""

    value: Any
    type: str = _JSON


def run(
    u: Unit, environment: EnvironmentRow, run_id: str, payload: Payload | None = None
) -> Created:
    """Create the new run; it goes to the current version, with another payload if one is given.

    Raises:
        NotFoundError: the environment has no such run.
    """
    old = u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id)
    if old is None:
        raise RunNotFoundError(run_id)
    chosen = payload or _payload(u, run_id)
    options = TriggerOptions.model_validate(_options(old) | {"payloadType": chosen.type})
    triggering = Triggering(u, environment, replay_of=old.id)
    created = triggering.add(BatchItem(task=old.task, payload=chosen.value, options=options))
    triggering.write()
    return created


def _payload(u: Unit, run_id: str) -> Payload:
    found = u.tx.one("payload_of", PayloadRow, run_id=run_id)
    is_json = found.type == _JSON and found.data is not None
    return Payload(json.loads(found.data or "") if is_json else found.data, found.type)


def _options(old: RunRow) -> dict[str, Any]:
    return {
        "queue": {"name": old.queue},
        "concurrencyKey": old.concurrency_key or None,
        "machine": old.machine,
        "metadata": json.loads(old.seed_metadata) if old.seed_metadata else None,
        "tags": json.loads(old.tags) if old.tags else None,
        "priority": old.priority_ms / 1000,
        "test": bool(old.is_test),
    }
