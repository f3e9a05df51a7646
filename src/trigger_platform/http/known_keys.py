"""Keys that were looked up a moment ago, so that not every request asks the database who calls."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_platform.store.notice import Notice
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["KnownKeys", "Opened"]

_TRUST_MS = 10_000
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What a key opens.

    Attributes:
        environment: as it was when the key was looked up.
        scopes: what the key is restricted to; ``None`` for nothing.
        until: when it opens nothing any more, if that is known.
    """

    environment: EnvironmentRow
    scopes: tuple[str, ...] | None = None
    until: int | None = None


class KnownKeys:
    """What keys open, by key and branch; forgotten when anybody's access changes, and soon anyway."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[int, Opened]] = {}

    def find(self, key: str, branch: str, now: int) -> Opened | None:
        """Return what a key opens, if it was looked up lately."""
        known = self._known.get((key, branch))
        return known[1] if known is not None and now < known[0] else None

    def learn(self, key: str, branch: str, opened: Opened, now: int) -> None:
        """Remember what a key opens with a branch."""
        if len(self._known) >= _MOST:
            self._known.clear()
        trusted = now + _TRUST_MS
        until = trusted if opened.until is None else min(trusted, opened.until)
        self._known[key, branch] = (until, opened)

    def notice(self, notice: Notice) -> None:
        """Forget everything when somebody's access may have changed, here or in another process."""
        if notice.access or notice.look:
            self._known.clear()
