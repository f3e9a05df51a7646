"""Who guesses passwords has to wait: failures are counted for a while, by what was tried and from where."""

from __future__ import annotations

from collections import deque

from trigger_core.errors import ApiError

__all__ = ["Throttle"]

_WINDOW_MS = 15 * 60_000
_MOST_KEYS = 10_000


class Throttle:
    """Failures of the last quarter of an hour, in this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._failures: dict[str, deque[int]] = {}

    def refuse(self, key: str, now: int) -> None:
        """Refuse another try when there were too many failures.

        Raises:
            ApiError: there were.
        """
        failures = self._failures.get(key)
        while failures and failures[0] <= now - _WINDOW_MS:
            failures.popleft()
        if failures and len(failures) >= self._most:
            raise ApiError(
                "too many failed logins; try again in a quarter of an hour",
                status=429,
                code="TOO_MANY_LOGINS",
            )

    def note(self, key: str, now: int) -> None:
        """Count a failure."""
        if len(self._failures) >= _MOST_KEYS:
            self._failures.clear()
        self._failures.setdefault(key, deque(maxlen=self._most)).append(now)
