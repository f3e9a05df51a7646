"""Scopes of public tokens: ``action[:type[:id]]`` (protocol B.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Resource", "allows", "is_within"]


@dataclass(frozen=True, slots=True)
class Resource:
    """Something a route works on; without an id the whole collection."""

    type: str
    id: str | None = None


def allows(scopes: Iterable[str], action: str, resources: Iterable[Resource]) -> bool:
    """Tell whether one of the scopes allows the action on any of the resources.

    Only the first two colons split a scope, so that ids may contain colons. ``admin`` alone allows
    everything, ``*`` stands for any action and ``all`` for any type.
    """
    wanted = list(resources)
    return any(_allows(scope, action, one) for scope in scopes for one in wanted)


def _allows(scope: str, action: str, resource: Resource) -> bool:
    if scope == "admin":
        return True
    given, _, rest = scope.partition(":")
    kind, _, name = rest.partition(":")
    if given not in {action, "*"}:
        return False
    if kind == "all":
        return True
    return kind == resource.type and (not name or name == resource.id)


def is_within(scope: str, granted: Iterable[str]) -> bool:
    """Tell whether a scope allows nothing that the granted ones do not allow."""
    return any(_is_within(scope, one) for one in granted)


def _is_within(scope: str, granted: str) -> bool:
    if granted in {"admin", scope}:
        return True
    action, _, rest = scope.partition(":")
    kind, _, name = rest.partition(":")
    if scope == "admin" or not kind or (action == "*" and not granted.startswith("*:")):
        return False
    return _allows(granted, action, Resource(kind, name or None))
