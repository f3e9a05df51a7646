"""What a commit means for those who wait, in this process and in others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["LOOK", "Notice", "merge"]

_LONGEST_BYTES = 7_900
"""A message of PostgreSQL ends before 8,000."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a commit means for those who wait; nothing in it is needed for correctness.

    Attributes:
        runnable: environments in which a run became claimable.
        boots: worker instances that have signals to fetch, and runs whose worker should read their snapshot.
        due: the earliest deadline that was set (ms), if any.
        outbox: whether events wait in the outbox.
        changed: pairs of environment and subject whose change was published.
        streams: streams of runs (``run/name``) that became longer.
        access: whether it changed who may do what.
        look: whether more may have happened than is said here: look at everything.
    """

    runnable: frozenset[str] = frozenset()
    boots: frozenset[str] = frozenset()
    due: int | None = None
    outbox: bool = False
    changed: frozenset[tuple[str, str]] = frozenset()
    streams: frozenset[str] = frozenset()
    access: bool = False
    look: bool = False

    @property
    def concerns_others(self) -> bool:
        """Whether another process has to hear of it: deadlines and the outbox are kept by the sender."""
        told = (self.runnable, self.boots, self.changed, self.streams, self.access, self.look)
        return any(told)

    def to_message(self, sender: str) -> str:
        """Return what other processes are told; too much of it becomes :data:`LOOK`."""
        content: dict[str, object] = {"from": sender}
        if self.look:
            return json.dumps(content | {"look": True})
        content |= {"runnable": sorted(self.runnable), "boots": sorted(self.boots)}
        content |= {"access": True} if self.access else {}
        content |= {"streams": sorted(self.streams)} if self.streams else {}
        text = json.dumps(content | {"changed": sorted(self.changed)}, separators=(",", ":"))
        return text if len(text) <= _LONGEST_BYTES else LOOK.to_message(sender)

    @staticmethod
    def from_message(message: str, receiver: str) -> Notice | None:
        """Return the notice, or ``None`` when the receiver sent it itself."""
        content = json.loads(message)
        if content["from"] == receiver:
            return None
        if content.get("look"):
            return LOOK
        return Notice(
            runnable=frozenset(content["runnable"]),
            boots=frozenset(content["boots"]),
            changed=frozenset((one, other) for one, other in content["changed"]),
            streams=frozenset(content.get("streams", ())),
            access=content.get("access", False),
        )


LOOK = Notice(look=True)
"""Something may have happened."""


def merge(notices: Iterable[Notice]) -> Notice:
    """Return one notice that says what several say."""
    given = list(notices)
    return Notice(
        runnable=frozenset().union(*(one.runnable for one in given)),
        boots=frozenset().union(*(one.boots for one in given)),
        due=min((one.due for one in given if one.due is not None), default=None),
        outbox=any(one.outbox for one in given),
        changed=frozenset().union(*(one.changed for one in given)),
        streams=frozenset().union(*(one.streams for one in given)),
        access=any(one.access for one in given),
        look=any(one.look for one in given),
    )
