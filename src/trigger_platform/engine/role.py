"""Roles of members, from the least to the one that may do everything."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Role"]


class Role(IntEnum):
    """What a member may do; each may do what the ones before it may.

    A viewer reads. A developer also triggers, deploys and changes what is in environments, and may have their
    keys. An admin also changes members, tokens and projects. An owner also changes owners.
    """

    VIEWER = 1
    DEVELOPER = 2
    ADMIN = 3
    OWNER = 4
