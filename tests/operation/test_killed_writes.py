"""The answer to each kind of write is lost, often with the platform; the client of the SDK asks again.

What was asked for has happened, once, and the second answer is that of a success.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support import postgres
from support.balancer import Address, Balancer
from support.deploying import metadata
from support.http import PROJECT
from support.server import Started, keys_of
from trigger_core.api.call import Answer, Call
from trigger_core.api.calls import (
    deployments,
    envvars,
    idempotency,
    queues,
    runs,
    schedules,
    tasks,
    tokens,
)
from trigger_core.api.client import Client
from trigger_core.schemas.envvars import CreateVariable, ImportVariables
from trigger_core.schemas.schedules import CreateSchedule, UpdateSchedule
from trigger_core.schemas.tokens import CreateToken
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerOptions, TriggerTask

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VARIABLES = envvars.VariablesOf(PROJECT, "dev")
QUEUE = queues.address("task/task")


@dataclass
class Place:
    """A platform behind a balancer, a client that goes through it, and what the writes have made."""

    database: str
    started: Started
    balancer: Balancer
    dev: Client
    prod: Client
    lost: int = 0

    def start_again(self) -> None:
        """Kill the platform and start it again on its port."""
        self.started.end()
        self.started = Started(self.database, port=self.started.address[1])

    def lose(self, _address: Address) -> None:
        """Lose an answer; each fifth because the platform dies."""
        self.lost += 1
        if self.lost % 5 == 0:
            self.start_again()

    def losing(self, client: Client, call: Call[Any]) -> Any:
        """Send a call whose answer does not come; return the one that comes when it is sent again."""
        path = f"{call.method} {call.path}".encode()
        wait = self.balancer.when("answered", path, 1, self.lose)
        answer = client.send(call)
        wait(1)
        return answer


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A platform on a new database."""
    is_file = request.param == "sqlite"
    database = str(tmp_path / "platform.db") if is_file else postgres.empty_database()
    production = keys_of(database).production
    started = Started(database)
    with ExitStack() as stack:
        balancer = stack.enter_context(Balancer([started.address]))
        dev, prod = (
            stack.enter_context(closing(Client(balancer.url, key)))
            for key in (started.ready["secretKey"], production)
        )
        found = Place(database, started, balancer, dev, prod)
        yield found
        found.started.end()


def test_runs_are_made_and_changed_once(place: Place) -> None:
    """Triggered, tagged, given metadata, moved, replayed, canceled; a key is freed."""
    _register(place.dev)
    losing = partial(place.losing, place.dev)
    run = losing(_trigger(delay="1h", idempotency_key="k")).id
    batch = losing(tasks.batch_trigger(TriggerBatch(items=[BatchItem(task="task")] * 3)))
    losing(runs.add_tags(run, ["a", "b"]))
    increment = {"operations": [{"type": "increment", "key": "n", "value": 1}]}
    losing(Call("PUT", f"/api/v1/runs/{run}/metadata", _anything, body=increment))
    losing(runs.reschedule(run, "2h"))
    copy = losing(runs.replay(run)).id
    losing(runs.cancel(run))
    losing(idempotency.reset("task", "k"))
    place.start_again()

    found = place.dev.send(runs.retrieve(run))
    assert (found.status, found.tags, found.metadata) == ("CANCELED", ["a", "b"], {"n": 1})
    made = {run, copy, *(one.id for one in batch.runs)}
    assert {one.id for one in place.dev.send(runs.list_page()).data} == made
    assert place.dev.send(_trigger(idempotency_key="k")).id != run


def test_schedules_and_tokens_are_made_and_changed_once(place: Place) -> None:
    """And removed once: that it is gone already is no failure for the one who removed it."""
    _register(place.dev)
    losing = partial(place.losing, place.dev)
    schedule = losing(schedules.create(CreateSchedule(task="tick", cron="0 * * * *"))).id
    losing(schedules.update(schedule, UpdateSchedule(task="tick", cron="5 * * * *")))
    losing(schedules.deactivate(schedule))
    token = losing(tokens.create(CreateToken())).id
    losing(tokens.complete(token, {"yes": 1}))
    place.start_again()

    [seen] = place.dev.send(schedules.list_page()).data
    assert (seen.id, seen.generator.expression, seen.active) == (schedule, "5 * * * *", False)
    [completed] = place.dev.send(tokens.list_page()).data
    assert (completed.id, completed.status) == (token, "COMPLETED")
    losing(schedules.activate(schedule))
    losing(schedules.delete(schedule))
    assert place.dev.send(schedules.list_page()).data == []


def test_variables_and_queues_are_changed_once(place: Place) -> None:
    """An import that was done is no import of what is there already."""
    _register(place.dev)
    losing = partial(place.losing, place.dev)
    losing(envvars.create(VARIABLES, CreateVariable(name="A", value="1")))
    losing(envvars.update(VARIABLES, "A", "2"))
    losing(envvars.import_variables(VARIABLES, ImportVariables(variables={"B": "3", "C": "4"})))
    losing(envvars.delete(VARIABLES, "C"))
    losing(queues.override(QUEUE, limit=7))
    losing(queues.pause(QUEUE, paused=True))
    place.start_again()

    variables = {one.name: one.value for one in place.dev.send(envvars.list_all(VARIABLES))}
    assert variables == {"A": "2", "B": "3"}
    queue = place.dev.send(queues.retrieve(QUEUE))
    assert (queue.concurrency_limit, queue.paused) == (7, True)
    losing(queues.reset(QUEUE))
    assert place.dev.send(queues.retrieve(QUEUE)).concurrency_limit != 7


def test_deployments_are_indexed_finalized_and_promoted_once(place: Place) -> None:
    """Each deployment has one version."""
    losing = partial(place.losing, place.prod)
    first, second = (_begin(place.prod, content_hash) for content_hash in "ab")
    for one in (first, second):
        index = {"localOnly": False, "metadata": metadata("task"), "buildPlatform": "linux/amd64"}
        path = f"/api/v1/deployments/{one['id']}"
        losing(Call("POST", f"{path}/background-workers", _anything, body=index))
        losing(Call("POST", f"{path}/finalize", _anything, body={}))
    losing(deployments.promote(first["version"], allow_rollbacks=True))
    place.start_again()

    found = place.prod.send(deployments.list_page()).data
    assert [(one.id, one.status) for one in found] == [
        (second["id"], "DEPLOYED"),
        (first["id"], "DEPLOYED"),
    ]
    assert place.prod.send(deployments.current()).id == first["id"]


def _register(client: Client) -> None:
    body = metadata() | {"tasks": [_task("task"), _task("tick", "schedule")]}
    path = f"/api/v1/projects/{PROJECT}/background-workers"
    client.send(Call("POST", path, _anything, body={"localOnly": True, "metadata": body}))


def _begin(client: Client, content_hash: str) -> dict[str, Any]:
    body = {"contentHash": content_hash, "type": "MANAGED", "runtime": "node-22"}
    begun: dict[str, Any] = client.send(Call("POST", "/api/v1/deployments", _anything, body=body))
    return begun


def _anything(answer: Answer) -> Any:
    return json.loads(answer.body)


def _trigger(**options: Any) -> Call[Any]:
    return tasks.trigger("task", TriggerTask(options=TriggerOptions(**options)))


def _task(name: str, source: str | None = None) -> dict[str, Any]:
    kind = {} if source is None else {"triggerSource": source}
    return {"id": name, "filePath": f"{name}.py"} | kind
