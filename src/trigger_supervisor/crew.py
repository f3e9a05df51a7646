"""The runners of a supervisor: those that have a run, and those that rest (protocol F.4).

A runner whose run is over asks for the next one, and is given one of the same deployment, environment and
machine: so most runs start without a process having to. One that rests takes no room from others. When there
are too many processes, the one that was hired first of those that rest is let go.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from trigger_core.schemas.execution import ManagedMessage
from trigger_supervisor.order import Order
from trigger_supervisor.placement.placement import Exit, Placement, Runner
from trigger_supervisor.upstream import Speaker

__all__ = ["Crew", "Member"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the runs of one runner have in common."""

    deployment: str
    environment: str
    machine: str

    @classmethod
    def of(cls, one: Order) -> _Kind:
        speaker = one.speaker
        return cls(speaker.deployment, speaker.environment, one.message.run.machine.name)


@dataclass(slots=True, eq=False)
class Member:
    """A runner; ``next_run`` is what it waits for while it rests."""

    speaker: Speaker
    kind: _Kind
    runner: Runner
    ended: asyncio.Task[Exit]
    is_resting: asyncio.Event = field(default_factory=asyncio.Event)
    next_run: asyncio.Future[ManagedMessage] | None = None


class Crew:
    """All of them."""

    def __init__(self, placement: Placement, most: int) -> None:
        self._placement = placement
        self._most = most
        self._members: dict[str, Member] = {}
        self._is_closed = False

    async def hire(self, one: Order) -> Member:
        """Start a runner for a run.

        Raises:
            TriggerError: it cannot be started.
        """
        self._make_place()
        runner = await self._placement.place(one)
        member = Member(one.speaker, _Kind.of(one), runner, asyncio.create_task(runner.ended()))
        self._members[one.runner_id] = member
        member.ended.add_done_callback(lambda _: self._members.pop(one.runner_id, None))
        return member

    def resting(self, one: Order) -> Member | None:
        """Return a runner that rests and can execute a run; the one that was hired last."""
        kind = _Kind.of(one)
        fitting = (member for member in self._resting() if member.kind == kind)
        return next(reversed(list(fitting)), None)

    def give(self, member: Member, one: Order) -> None:
        """Give a run to a runner that rests."""
        assert member.next_run is not None
        member.is_resting.clear()
        member.next_run.set_result(one.message)
        member.next_run = None

    async def rest(self, runner_id: str) -> ManagedMessage | None:
        """Wait for the next run of a runner; ``None`` when there will be none."""
        member = self._members.get(runner_id)
        if member is None or self._is_closed:
            return None
        mine: asyncio.Future[ManagedMessage] = asyncio.get_running_loop().create_future()
        member.next_run = mine
        member.is_resting.set()
        _log.debug("%s rests", runner_id)
        try:
            return await mine
        finally:
            if member.next_run is mine:
                member.next_run = None

    def close(self) -> None:
        """Let those go that rest, and from now on everybody who wants to."""
        self._is_closed = True
        for member in self._resting():
            member.runner.kill()

    def kill(self) -> None:
        """End all of them at once."""
        for member in self._members.values():
            member.runner.kill()

    def _resting(self) -> list[Member]:
        return [member for member in self._members.values() if member.next_run is not None]

    def _make_place(self) -> None:
        too_many = max(0, len(self._members) + 1 - self._most)
        for member in self._resting()[:too_many]:
            member.runner.kill()
            member.next_run = None
