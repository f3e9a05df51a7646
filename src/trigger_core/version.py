"""Version names of the user's code: ``YYYYMMDD.N``, numbered from 1 per environment and day."""

from __future__ import annotations

__all__ = ["next_version", "sort_key"]


def sort_key(version: str) -> tuple[int, int]:
    """Return the key by which versions compare: the day, then the number, both as numbers."""
    day, _, number = version.partition(".")
    return int(day), int(number)


def next_version(latest: str | None, today: str) -> str:
    """Return the version after ``latest`` for the day ``today`` (``YYYYMMDD``)."""
    if latest is None:
        return f"{today}.1"
    day, number = sort_key(latest)
    return f"{today}.{number + 1}" if f"{day}" == today else f"{today}.1"
