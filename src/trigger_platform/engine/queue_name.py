"""Queue names (protocol section G)."""

from __future__ import annotations

import re

__all__ = ["of_task", "sanitize"]

_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_/-]")


def of_task(task: str) -> str:
    """Return the name of the queue every task has."""
    return f"task/{task}"


def sanitize(name: str) -> str:
    """Return the name with forbidden characters removed, at most 128 long; may be empty."""
    return _FORBIDDEN.sub("", name)[:128]
