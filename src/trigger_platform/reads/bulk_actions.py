"""Bulk actions as the API shows them: pages, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import BulkActionRow, EnvironmentRow

__all__ = ["BulkActionRows", "page"]


@dataclass(frozen=True, slots=True)
class BulkActionRows:
    """A page, newest first, and the cursors to its neighbours."""

    actions: list[BulkActionRow]
    next: str | None
    previous: str | None


def page(
    u: Unit, environment: EnvironmentRow, *, size: int, after: str = "", before: str = ""
) -> BulkActionRows:
    """Return a page."""
    where = {"environment_id": environment.id, "limit": size + 1}
    if before:
        found = u.tx.all("bulk_actions_newer", BulkActionRow, lower=before, **where)
        actions = found[:size][::-1]
        previous = actions[0].id if len(found) > size else None
        return BulkActionRows(actions, actions[-1].id if actions else None, previous)
    found = u.tx.all("bulk_actions_older", BulkActionRow, upper=after, **where)
    actions = found[:size]
    following = actions[-1].id if len(found) > size else None
    return BulkActionRows(actions, following, actions[0].id if after and actions else None)
