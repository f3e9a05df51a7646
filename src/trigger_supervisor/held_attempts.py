"""Which attempt each runner holds, as its own calls tell: so that one that ends without a word is missed.

A snapshot belongs to one lease of a run. Whatever is said under one that has passed is refused by the
platform, so speaking up for a runner can never harm the run of another.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from trigger_core.api.call import Answer
from trigger_core.schemas.base import WireModel
from trigger_core.schemas.execution import AttemptCompleted, RunState, SnapshotState
from trigger_supervisor.order import Order

__all__ = ["Held", "HeldAttempts"]

M = TypeVar("M", bound=WireModel)

_WITH_ANOTHER = {404, 422}


class _Begun(WireModel):
    """The part of ``AttemptStarted`` that matters here."""

    snapshot: SnapshotState
    run: RunState


@dataclass(frozen=True, slots=True)
class Held:
    """A run that a runner holds, under a snapshot; whether its attempt has begun."""

    run_id: str
    snapshot_id: str
    has_begun: bool


class HeldAttempts:
    """What every runner holds."""

    def __init__(self) -> None:
        self._by_runner: dict[str, Held] = {}
        self._heard: dict[str, asyncio.Event] = {}

    def give(self, order: Order, runner_id: str) -> None:
        """A runner was given a run."""
        self._by_runner[runner_id] = Held(order.run_id, order.snapshot_id, has_begun=False)
        self._heard[runner_id] = asyncio.Event()

    async def heard(self, runner_id: str) -> None:
        """Wait until a runner has tried to begin what it was given."""
        await self._heard[runner_id].wait()

    def begun(self, runner_id: str, answer: Answer) -> None:
        """An attempt was asked to begin; refused, another has the run."""
        if runner_id in self._heard:
            self._heard[runner_id].set()
        if not answer.is_success:
            self.release(runner_id)
        elif (begun := _read(_Begun, answer)) is not None:
            run_id, snapshot = begun.run.friendly_id, begun.snapshot.friendly_id
            self._by_runner[runner_id] = Held(run_id, snapshot, has_begun=True)

    def completed(self, runner_id: str, answer: Answer) -> None:
        """An attempt ended, and the runner may be told to begin the next one itself; or its end was refused.

        It is still held if that is not because another has the run: its end must be told in another way.
        """
        if not answer.is_success and answer.status not in _WITH_ANOTHER:
            return
        told = _read(AttemptCompleted, answer) if answer.is_success else None
        if told is not None and told.result.attempt_status == "RETRY_IMMEDIATELY":
            run_id, snapshot = told.result.run.friendly_id, told.result.snapshot.friendly_id
            self._by_runner[runner_id] = Held(run_id, snapshot, has_begun=False)
        else:
            self.release(runner_id)

    def of(self, runner_id: str) -> Held | None:
        """Return what a runner holds."""
        return self._by_runner.get(runner_id)

    def release(self, runner_id: str) -> None:
        """A runner holds nothing any more."""
        self._by_runner.pop(runner_id, None)
        self._heard.pop(runner_id, None)


def _read(model: type[M], answer: Answer) -> M | None:
    """Read an answer; what cannot be read tells nothing."""
    try:
        return model.model_validate_json(answer.body)
    except ValidationError:
        return None
