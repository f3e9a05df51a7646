"""Environments: found by their secret key, and taken by who counts their slots."""

from __future__ import annotations

from trigger_platform.engine import environment_key
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["by_secret_key", "lock"]


def by_secret_key(u: Unit, key: str) -> EnvironmentRow | None:
    """Return the environment a key opens, if there is one."""
    return u.tx.maybe(
        "environment_by_key", EnvironmentRow, secret_key_hash=environment_key.fingerprint(key)
    )


def lock(u: Unit, environment_id: str) -> EnvironmentRow:
    """Take an environment until this unit ends, and return it as it is now.

    Limits are counted from the runs that hold slots, so two must not count and take at once. It is taken
    before the runs that are claimed, and before the seat of the worker that claims them.
    """
    return u.tx.one("environment_lock", EnvironmentRow, id=environment_id)
