"""Languages: sessions of several may serve one development environment, each with a version that is current.

Everywhere else one version is current. An environment is mixed from the moment on at which a second language
registers; one that is not mixed pays nothing for this. A task is at home in the current version that has it,
and if several have it, in the one that was registered last. Its runs are bound to their home, so that they
wait in its pool and a session never looks at what only another one can execute.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, TaskRow, WorkerRow

__all__ = ["bind", "current", "current_of", "home", "mix", "of_runtime", "others", "spoken_by"]

_JAVASCRIPT = ("node", "bun", "deno")


@dataclass(frozen=True, slots=True)
class _Version:
    id: str


def of_runtime(runtime: str | None) -> str:
    """Return the language of a runtime such as ``node-22``; what says nothing is ours."""
    return "javascript" if (runtime or "").startswith(_JAVASCRIPT) else "python"


def current(u: Unit, environment: EnvironmentRow) -> list[str]:
    """Return the versions that are current, the one that was registered last first."""
    newest = environment.current_worker_id
    if newest is None:
        return []
    if not environment.is_mixed:
        return [newest]
    found = u.tx.all("workers_current", _Version, environment_id=environment.id)
    return [newest, *(row.id for row in found if row.id != newest)]


def current_of(u: Unit, environment: EnvironmentRow, language: str) -> WorkerRow | None:
    """Return the version that is current in a language."""
    versions = [u.tx.one("worker_by_id", WorkerRow, id=id_) for id_ in current(u, environment)]
    return next((one for one in versions if one.language == language), None)


def others(u: Unit, environment: EnvironmentRow, worker_id: str) -> list[str]:
    """Return the current versions of the languages that a version is not written in."""
    mine = u.tx.one("worker_by_id", WorkerRow, id=worker_id).language
    versions = [u.tx.one("worker_by_id", WorkerRow, id=id_) for id_ in current(u, environment)]
    return [one.id for one in versions if one.language != mine]


def mix(u: Unit, environment: EnvironmentRow, worker: WorkerRow) -> EnvironmentRow:
    """Note that a version of another language than those before comes to a development environment."""
    if environment.type != "DEVELOPMENT" or environment.is_mixed:
        return environment
    if environment.current_worker_id is None or not others(u, environment, worker.id):
        return environment
    u.tx.run("environment_mix", id=environment.id)
    return replace(environment, is_mixed=1)


def home(u: Unit, environment: EnvironmentRow, task: str) -> TaskRow | None:
    """Return a task as the current version that has it declares it."""
    for worker_id in current(u, environment):
        found = u.tx.maybe("task_of_worker", TaskRow, worker_id=worker_id, task=task)
        if found is not None:
            return found
    return None


def spoken_by(u: Unit, worker_id: str, versions: Sequence[str]) -> list[str]:
    """Return those of some versions that are in the language of one."""
    ids = json.dumps(list(versions))
    return [
        row.id for row in u.tx.all("workers_of_language_of", _Version, ids=ids, worker_id=worker_id)
    ]


def bind(u: Unit, run_id: str, sequence: int, worker_id: str) -> None:
    """Let a queued run wait for the sessions of a version's language."""
    u.tx.run("run_bind", id=run_id, sequence=sequence, worker_id=worker_id)
