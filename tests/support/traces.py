"""Reading traces of runs in tests: which span stands below which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["outline", "paths", "spans"]


def spans(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every span of a trace, from the top down."""
    yield root
    for child in root["children"]:
        yield from spans(child)


def paths(root: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every span of a trace as the names on the way to it."""
    here = (*above, str(root["data"]["message"]))
    yield here
    for child in root["children"]:
        yield from paths(child, here)


def outline(root: dict[str, Any], *named: str) -> list[str]:
    """Return the spans of these names, each as the names on the way to it; others are passed over."""
    return [
        " > ".join(name for name in path if name in named)
        for path in paths(root)
        if path[-1] in named
    ]
