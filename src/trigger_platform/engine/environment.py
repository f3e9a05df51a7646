"""Environments: found by their secret key."""

from __future__ import annotations

from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["by_secret_key"]


def by_secret_key(u: Unit, key: str) -> EnvironmentRow | None:
    """Return the environment a key opens, if there is one."""
    return u.tx.maybe("environment_by_key", EnvironmentRow, secret_key=key)
