"""Tags: words by which runs are found again, at most ten of a run (protocol A.2, A.7)."""

from __future__ import annotations

import json
from collections.abc import Iterable

from trigger_core.errors import RunNotFoundError, UnprocessableError
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow, RunTagRow, as_params

__all__ = ["add", "checked", "of", "replace"]

_MOST = 10


def checked(given: Iterable[str]) -> list[str]:
    """Return tags without blank and repeated ones.

    Raises:
        UnprocessableError: there are more than ten.
    """
    tags = list(dict.fromkeys(tag for tag in given if tag.strip()))
    if len(tags) > _MOST:
        raise UnprocessableError(
            f"a run has at most {_MOST} tags, these are {len(tags)}",
            status=422,
            code="TOO_MANY_TAGS",
        )
    return tags


def of(run: RunRow) -> list[RunTagRow]:
    """Return the rows by which a run is found again."""
    tags: list[str] = json.loads(run.tags) if run.tags else []
    return [RunTagRow(run.environment_id, tag, run.id) for tag in tags]


def replace(u: Unit, before: RunRow, after: RunRow) -> None:
    """A run has other tags: it is found by these, and by the old ones no more."""
    if before.tags != after.tags:
        u.tx.many("run_tag_delete", [as_params(row) for row in of(before)])
        u.record("run_tag_insert", of(after))


def add(u: Unit, environment: EnvironmentRow, run_id: str, given: Iterable[str]) -> list[str]:
    """Add tags to a run; return those that it did not have.

    Raises:
        NotFoundError: the environment has no such run.
        UnprocessableError: it would have more than ten.
    """
    run = u.tx.maybe("run_by_id_locked", RunRow, id=run_id, environment_id=environment.id)
    if run is None:
        raise RunNotFoundError(run_id)
    before: list[str] = json.loads(run.tags) if run.tags else []
    after = checked([*before, *given])
    if after != before:
        u.tx.run("run_tags", id=run.id, tags=json.dumps(after), now=u.now)
        u.record("run_tag_insert", of(run._replace(tags=json.dumps(after))))
        u.emit(run.environment_id, "run.changed", run.id, run.sequence)
    return after[len(before) :]
