"""What a worker makes of the platform's signals."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from trigger_core.schemas.workers import Assignment, Reported, Signal, Verdict
from trigger_worker.active_run import ActiveRun
from trigger_worker.channel import Channel
from trigger_worker.reports import Outbox
from trigger_worker.run_controller import RunController
from trigger_worker.run_events import RunEvents
from trigger_worker.session_link import SessionLink
from trigger_worker.span_export import SpanExport
from trigger_worker.versions import Versions

RUN = Assignment(
    run_id="run_1",
    lease=7,
    attempt=2,
    worker_id="worker_1",
    task="task",
    queue="task/task",
    created_at=0,
    started_at=0,
    attempt_started_at=0,
    max_attempts=3,
    version="20260101.1",
)


@pytest.fixture
def controller() -> Iterator[RunController]:
    """A controller that holds one run, which no process has yet."""
    stdout = os.dup(1)
    spans = SpanExport(Channel("http://127.0.0.1:1", "", "spans"))
    made = RunController(Outbox(), Versions(), RunEvents(SessionLink()), spans, lambda: None)
    made.runs[RUN.run_id] = ActiveRun(RUN)
    yield made
    os.dup2(stdout, 1)
    os.close(stdout)


@pytest.mark.behaviour(239)
@pytest.mark.parametrize("kind", ["cancel", "stop"])
async def test_a_signal_under_an_earlier_lease_is_ignored(
    controller: RunController, kind: str
) -> None:
    """It was meant for the attempt before."""
    controller.heed([Signal.model_validate({"kind": kind, "runId": RUN.run_id, "lease": 6})])
    controller.apply(Reported(verdicts=[Verdict(run_id=RUN.run_id, lease=6, kind="stale")]))

    assert controller.runs[RUN.run_id].result is None


@pytest.mark.behaviour(238)
async def test_a_run_that_was_lost_is_dropped_without_a_word(controller: RunController) -> None:
    """Nothing is reported of it."""
    controller.heed([Signal(kind="stop", run_id=RUN.run_id, lease=7)])

    assert (controller.runs, controller.held()) == ({}, [])
    assert controller._outbox.completions == []


async def test_a_run_that_is_canceled_before_it_begins_is_reported_as_canceled(
    controller: RunController,
) -> None:
    """No process has to be ended."""
    controller.heed([Signal(kind="cancel", run_id=RUN.run_id, lease=7)])

    [completion] = controller._outbox.completions
    assert not completion.ok
    assert completion.error.code == "TASK_RUN_CANCELLED"
