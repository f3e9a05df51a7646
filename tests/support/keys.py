"""Keys for tests: the same ones everywhere, so that two platforms can share a database."""

from __future__ import annotations

from trigger_platform.key_ring import Key, KeyRing

__all__ = ["KEYS", "TEXT", "ring"]

KEYS = (Key("test", bytes(range(32))),)
TEXT = f"test:{KEYS[0].secret.hex()}"
"""The same as a setting."""


def ring() -> KeyRing:
    """Return a ring of them."""
    return KeyRing(KEYS)
