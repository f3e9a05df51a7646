"""What a worker makes of the platform's signals."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trigger_core.api.calls import workers as calls
from trigger_core.schemas.workers import Assignment, Poll, Reported, Signal, Verdict
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


async def test_what_is_handed_out_twice_is_executed_once(controller: RunController) -> None:
    """A question that is repeated may be answered twice; a new lease is another matter."""
    held = controller.runs[RUN.run_id]
    controller.take([RUN], {})
    assert controller.runs[RUN.run_id] is held

    controller.apply(Reported(verdicts=[Verdict(run_id=RUN.run_id, lease=7, kind="finished")]))
    controller.take([RUN], {})
    assert controller.runs == {}

    controller.take([RUN.model_copy(update={"lease": 9})], {})
    assert controller.runs[RUN.run_id].assignment.lease == 9


def test_a_call_that_is_sent_again_says_so() -> None:
    """Once its connection has broken."""
    heard: list[dict[str, Any]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        channel = Channel(f"http://127.0.0.1:{listener.getsockname()[1]}", "", "poll")
        call = calls.poll(Poll(boot_id="b", workers=[], limit=1))
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(lambda: asyncio.run(channel.send(call)))
            heard.append(_hear(listener, b""))
            body = b'{"runs": [], "signals": []}'
            head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            heard.append(_hear(listener, head + body))
            assert answer.result(timeout=10).runs == []
        channel.close()

    assert heard[1] == heard[0] | {"isRepeated": True}
    assert not heard[0].get("isRepeated")


def _hear(listener: socket.socket, answer: bytes) -> dict[str, Any]:
    """Take one request and answer it."""
    connection, _ = listener.accept()
    text = b""
    with connection:
        while b"\r\n\r\n" not in text or not text.endswith(b"}"):
            text += connection.recv(65536)
        connection.sendall(answer)
    found: dict[str, Any] = json.loads(text.partition(b"\r\n\r\n")[2])
    return found
