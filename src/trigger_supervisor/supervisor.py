"""The supervisor: takes runs while there is room, places each, and speaks for those whose runner is gone."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial

from trigger_core.clock import Clock
from trigger_core.errors import AuthenticationError, TriggerError
from trigger_core.schemas.execution import CompleteAttempt
from trigger_supervisor import exits, order
from trigger_supervisor.capacity import Capacity, Size
from trigger_supervisor.crew import Crew, Member
from trigger_supervisor.held_attempts import HeldAttempts
from trigger_supervisor.order import Order, Surroundings
from trigger_supervisor.upstream import Speaker, Upstream
from trigger_supervisor.workload_sockets import WorkloadSockets

__all__ = ["Supervisor"]

_log = logging.getLogger(__name__)

_HEARTBEAT_S = 30.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
_KILL_AGAIN_S = 1.0
_MOST_AT_ONCE = 20
_HEARS_WITHIN_S = 20.0


class Supervisor:
    """What is placed, what waits for room, and the loops that keep it going."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        crew: Crew,
        capacity: Capacity,
        attempts: HeldAttempts,
        sockets: WorkloadSockets,
        around: Surroundings,
        clock: Clock,
    ) -> None:
        self._upstream = upstream
        self._crew = crew
        self._capacity = capacity
        self._attempts = attempts
        self._sockets = sockets
        self._around = around
        self._clock = clock
        self._waiting: deque[Order] = deque()
        self._placed: set[asyncio.Task[None]] = set()
        self._has_room = asyncio.Event()
        self._is_ending = False
        self._is_killing = False

    async def beat(self) -> None:
        """Say that this supervisor is alive, for ever."""
        while True:
            try:
                await self._upstream.heartbeat()
            except TriggerError as error:
                _log.warning("the heartbeat was not heard: %s", error)
            await asyncio.sleep(_HEARTBEAT_S)

    async def take(self) -> None:
        """Take runs while there is room, until told to end.

        Raises:
            AuthenticationError: the token is not valid any more.
        """
        pause = _FIRST_PAUSE_S
        while await self._until_room():
            try:
                messages = await self._upstream.dequeue(min(_MOST_AT_ONCE, self._capacity.room()))
            except AuthenticationError:
                raise
            except TriggerError as error:
                _log.warning("no runs can be taken for now: %s", error)
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, pause * 2)
                continue
            pause = _FIRST_PAUSE_S
            for message in messages:
                self._waiting.append(order.new(message, self._around, self._clock.now()))
            self._place_waiting()

    def end(self) -> None:
        """Take no more runs; what was asked for already is still placed."""
        self._is_ending = True
        self._has_room.set()

    async def over(self) -> None:
        """Wait until all that was placed is over; the platform hands the rest out again."""
        self._waiting.clear()
        self._crew.close()
        while self._placed:
            await asyncio.wait(self._placed)

    async def kill(self) -> None:
        """End everything that is placed, and tell."""
        self._is_killing = True
        while self._placed:
            self._crew.kill()
            await asyncio.wait(self._placed, timeout=_KILL_AGAIN_S)

    @property
    def running(self) -> int:
        """How many runs are placed."""
        return len(self._placed)

    async def _until_room(self) -> bool:
        """Wait until something fits; ``False`` when nothing shall be taken any more."""
        while not self._is_ending and (self._waiting or self._capacity.room() < 1):
            self._has_room.clear()
            await self._has_room.wait()
        return not self._is_ending

    def _place_waiting(self, *, has_waited: bool = False) -> None:
        """Place what fits, in the order in which it came."""
        while self._waiting and self._capacity.fits(_size(self._waiting[0])):
            one = self._waiting.popleft()
            self._capacity.take(_size(one))
            task = asyncio.create_task(self._see_through(one, has_waited=has_waited))
            self._placed.add(task)
            task.add_done_callback(partial(self._done, one))

    def _done(self, one: Order, task: asyncio.Task[None]) -> None:
        self._placed.discard(task)
        self._capacity.give_back(_size(one))
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("placing %s failed", one.run_id, exc_info=error)
        if not self._is_ending:
            self._place_waiting(has_waited=True)
        self._has_room.set()

    async def _see_through(self, one: Order, *, has_waited: bool) -> None:
        """Place a run, and wait until it is over or its runner is gone."""
        if has_waited and not await self._is_still_ours(one):
            return
        await self._sockets.expect(one.run_id)
        try:
            member = await self._hand_over(one) or await self._hire(one)
            if member is not None:
                await self._attend(one, member)
        finally:
            await self._sockets.forget(one.run_id)

    async def _hand_over(self, one: Order) -> Member | None:
        """Give a run to a runner that rests. One that does not begin it has not heard, and must not later."""
        member = self._crew.resting(one)
        if member is None:
            return None
        runner_id = member.speaker.runner
        self._attempts.give(one, runner_id)
        self._crew.give(member, one)
        heard = asyncio.create_task(self._attempts.heard(runner_id))
        await asyncio.wait({heard}, timeout=_HEARS_WITHIN_S)
        if heard.done():
            _log.info("%s is given to %s", one.run_id, runner_id)
            return member
        heard.cancel()
        member.runner.kill()
        await asyncio.wait({member.ended})
        self._attempts.release(runner_id)
        return None

    async def _hire(self, one: Order) -> Member | None:
        """Start a runner for a run; if that cannot be, the run is told so."""
        self._attempts.give(one, one.runner_id)
        try:
            member = await self._crew.hire(one)
        except TriggerError as error:
            _log.error("%s: %s", one.run_id, error)
            await self._speak_up(one.speaker, exits.not_started(one.run_id, error))
            return None
        _log.info("%s is placed with %s", one.run_id, one.runner_id)
        return member

    async def _attend(self, one: Order, member: Member) -> None:
        """Wait until a runner is gone or rests; an attempt that it held until then is over too."""
        speaker = member.speaker
        resting = asyncio.create_task(member.is_resting.wait())
        await asyncio.wait({member.ended, resting}, return_when=asyncio.FIRST_COMPLETED)
        resting.cancel()
        how = member.ended.result() if member.ended.done() else None
        if how is not None:
            _log.info("%s has ended: %s", speaker.runner, how)
        if self._attempts.of(speaker.runner) is None:
            return
        if how is None:
            ending = exits.let_go(one.run_id)
        else:
            _log.warning("it held %s when it ended\n%s", one.run_id, how.last_lines)
            ending = exits.unexpected(one.run_id, how, was_ended=self._is_killing)
        await self._speak_up(speaker, ending)

    async def _speak_up(self, speaker: Speaker, ending: CompleteAttempt) -> None:
        """End the attempt that a runner holds in its place; refused, another has the run or it is over."""
        runner = speaker.runner
        try:
            held = self._attempts.of(runner)
            if held is not None and not held.has_begun:
                begun = await self._upstream.start(held.run_id, held.snapshot_id, speaker)
                self._attempts.begun(runner, begun)
                held = self._attempts.of(runner)
            if held is not None:
                told = await self._upstream.complete(held.run_id, held.snapshot_id, speaker, ending)
                _log.info("the end of %s was told: %s", held.run_id, told.status)
        except TriggerError as error:
            _log.warning("the end of %s could not be told: %s", ending.completion.id, error)
        finally:
            self._attempts.release(runner)

    async def _is_still_ours(self, one: Order) -> bool:
        """Tell whether a run that had to wait for room may still begin: the platform waits three minutes."""
        try:
            found = await self._upstream.latest(one.run_id, one.speaker)
        except TriggerError as error:
            _log.info("%s is not placed: %s", one.run_id, error)
            return False
        return found.execution.snapshot.friendly_id == one.snapshot_id


def _size(one: Order) -> Size:
    machine = one.message.run.machine
    return Size(machine.cpu, machine.memory)
