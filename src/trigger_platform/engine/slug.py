"""Slugs: short names for addresses, made from a title, with a tail that makes them unique."""

from __future__ import annotations

import re

from trigger_core import ids
from trigger_platform.engine.unit import Unit

__all__ = ["of"]

_OTHER = re.compile(r"[^a-z0-9]+")
_LONGEST = 40


def of(u: Unit, title: str) -> str:
    """Return a slug for a title."""
    words = _OTHER.sub("-", title.lower()).strip("-")[:_LONGEST].strip("-")
    return f"{words or 'x'}-{ids.short_code(u.rng)[:4]}"
