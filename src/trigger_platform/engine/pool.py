"""Pools: where queued runs wait for a worker that may take them (behaviour 116).

A run that is bound to a version waits in that version's pool, any other one in its environment's. A worker
looks into the pools it serves, so what waits for others costs it nothing, however much of it there is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_platform.engine import language
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["everything", "served_by"]


@dataclass(frozen=True, slots=True)
class _Version:
    id: str


def served_by(u: Unit, environment: EnvironmentRow, workers: Sequence[str]) -> str:
    """Return the pools that a worker instance with these versions takes runs from, as a JSON array.

    In a development environment that is every pool of their language: a version that has ended never comes
    back, and its runs move on. Elsewhere unbound runs go to the current version alone; while there is none,
    whoever asks puts them aside.
    """
    if environment.type == "DEVELOPMENT":
        return _of_language(u, environment, workers[-1])
    pools = [
        row.id
        for row in u.tx.all(
            "workers_of_environment",
            _Version,
            environment_id=environment.id,
            ids=json.dumps(list(workers)),
        )
    ]
    if environment.current_worker_id is None or environment.current_worker_id in pools:
        pools.append(environment.id)
    return json.dumps(pools)


def _of_language(u: Unit, environment: EnvironmentRow, worker_id: str) -> str:
    if not environment.is_mixed:
        return everything(u, environment)
    bound = u.tx.all("versions_waited_for", _Version, environment_id=environment.id)
    mine = language.spoken_by(u, worker_id, [row.id for row in bound])
    return json.dumps([environment.id, *mine])


def everything(u: Unit, environment: EnvironmentRow) -> str:
    """Return all pools of an environment in which runs may wait, as a JSON array."""
    bound = u.tx.all("versions_waited_for", _Version, environment_id=environment.id)
    return json.dumps([environment.id, *(row.id for row in bound)])
