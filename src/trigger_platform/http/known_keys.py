"""Secret keys that were looked up a moment ago, so that not every request asks the database who calls."""

from __future__ import annotations

from trigger_platform.store.notice import Notice
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["KnownKeys"]

_TRUST_MS = 10_000
_MOST = 10_000


class KnownKeys:
    """Environments by key and branch; forgotten when anybody's access changes, and after some seconds anyway.

    The rows are as they were when they were looked up: whom a key belongs to does not change, the rest may.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[int, EnvironmentRow]] = {}

    def find(self, key: str, branch: str, now: int) -> EnvironmentRow | None:
        """Return the environment, if it was looked up lately."""
        until, found = self._known.get((key, branch), (0, None))
        return found if now < until else None

    def learn(self, key: str, branch: str, found: EnvironmentRow, now: int) -> None:
        """Remember what a key and a branch open."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key, branch] = (now + _TRUST_MS, found)

    def notice(self, notice: Notice) -> None:
        """Forget everything when somebody's access may have changed, here or in another process."""
        if notice.access or notice.look:
            self._known.clear()
