"""What a task's code changes about its run, through every process: metadata, tags, delays, machines."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from support.dev import Dev, run_cli, until, write_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("steering")]

TASKS = """
import time
from trigger_sdk import *

@task
async def child(n: int) -> int:
    metadata.set("n", n)
    metadata.parent.append("children", n)
    metadata.root.increment("done", 1)
    await tags.add(f"child_{n}")
    return n

@task
async def parent() -> object:
    metadata.set("progress", 0).set("$.steps.first", "begun")
    for _ in range(100):
        metadata.increment("progress")
    results = await child.batch_trigger_and_wait([1, 2, 3])
    metadata.update(result=sum(results.outputs())).delete("$.steps.first")
    return metadata.get("progress")

@task
def blocking() -> list:
    metadata.set("a", 1)
    metadata.flush_sync()
    tags.add_sync("one", "two")
    seen = runs.retrieve_sync(current_context().run.id)
    return [seen.detail.metadata, seen.detail.tags]

@task
async def flushing() -> object:
    metadata.set("a", 1)
    await metadata.flush()
    return (await runs.retrieve(current_context().run.id)).detail.metadata

@task
async def slow() -> None:
    metadata.set("here", True)
    await wait.for_(seconds=0.1)
    time.sleep(60)

@task(retry=Retry(max_attempts=1))
def dies() -> None:
    metadata.set("last", "words")
    raise ValueError("broken")

@task(retry=Retry(max_attempts=3, min_delay="10ms", out_of_memory_machine="small-2x"))
def hungry() -> str:
    if current_context().machine.name != "small-2x":
        raise OutOfMemoryError("too little")
    return f"{current_context().machine.name} in attempt {current_context().attempt.number}"

@task
async def keyed() -> list:
    one = await child.with_options(idempotency_key="payload", delay="1h").trigger(7)
    same = await child.with_options(idempotency_key="payload", delay="1h").trigger(7)
    await idempotency_keys.reset("child", (await runs.retrieve(one)).detail.idempotency_key)
    other = await child.with_options(idempotency_key="payload", delay="1h").trigger(7)
    moved = await runs.reschedule(one, delay="3h")
    for run in (one, other):
        await runs.cancel(run)
    return [same.is_cached, one.id == same.id, one.id == other.id, moved.status]

@task
async def collecting() -> list:
    chosen = child.with_options(debounce=Debounce(key="k", delay="1s", mode="trailing"))
    made = [await chosen.trigger(n) for n in (1, 2, 3)]
    done = await runs.poll(made[0])
    return [len({run.id for run in made}), done.output]
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all."""
    session = Dev(write_project(tmp_path_factory.mktemp("project"), TASKS))
    yield session
    session.stop()


def test_the_operations_of_a_family_arrive(dev: Dev) -> None:
    """Those of children at their parent, in one piece with their ends."""
    run = dev.run("parent")

    assert (run.status, run.output) == ("COMPLETED", 100), run.error
    assert run.metadata is not None
    assert sorted(run.metadata.pop("children")) == [1, 2, 3]
    assert run.metadata == {"progress": 100, "steps": {}, "done": 3, "result": 6}
    assert {tag for child in run.related_runs.children for tag in child.tags} == {
        "child_1",
        "child_2",
        "child_3",
    }


@pytest.mark.parametrize(
    ("task", "output"),
    [
        ("blocking", [{"a": 1}, ["one", "two"]]),
        ("flushing", {"a": 1}),
        ("hungry", "small-2x in attempt 2"),
        ("keyed", [True, True, False, "DELAYED"]),
        ("collecting", [1, 3]),
    ],
)
def test_code_sees_what_it_has_changed(dev: Dev, task: str, output: object) -> None:
    """Once it has waited for the platform to have it."""
    run = dev.run(task)

    assert (run.status, run.output) == ("COMPLETED", output), run.error


def test_metadata_is_seen_while_the_code_goes_on(dev: Dev) -> None:
    """A wait takes it along."""
    run_id = dev.trigger("slow")
    until(lambda: dev.get(run_id).metadata == {"here": True}, what="the metadata")

    assert run_cli("runs", "cancel", run_id, cwd=dev.folder).returncode == 0


def test_a_failed_attempt_keeps_its_metadata(dev: Dev) -> None:
    """It may explain the failure."""
    run = dev.run("dies")

    assert (run.status, run.metadata) == ("FAILED", {"last": "words"})


def test_the_command_line_moves_delays_and_frees_keys(dev: Dev) -> None:
    """As its help says."""
    run_id = dev.trigger("child", 1, delay="1h", idempotency_key="k" * 64)
    moved = run_cli("runs", "reschedule", run_id, "2h", cwd=dev.folder)
    freed = run_cli("idempotency", "reset", "child", "k" * 64, cwd=dev.folder)
    again = run_cli("idempotency", "reset", "child", "k" * 64, cwd=dev.folder)
    other = run_cli("runs", "replay", run_id, "--payload", "5", cwd=dev.folder)

    assert re.match(rf"{run_id} delayed until \d{{4}}-", moved.stdout), moved.stderr
    assert (freed.returncode, again.returncode) == (0, 4)
    assert dev.result(other.stdout.strip()).output == 5


def test_a_public_token_that_went_astray_is_revoked(dev: Dev) -> None:
    """By the command line, with what was found; twice does no harm, another's is not known."""
    address = "/api/v1/auth/public-tokens"
    http = httpx.Client(base_url=dev.session["apiUrl"])
    key = {"authorization": f"Bearer {dev.session['secretKey']}"}
    made = http.post(address, json={"scopes": ["read:runs"]}, headers=key).json()["token"]

    def status() -> int:
        return http.get("/api/v1/runs", headers={"authorization": f"Bearer {made}"}).status_code

    before = status()
    told = [run_cli("public-tokens", "revoke", made, cwd=dev.folder) for _ in range(2)]
    assert (before, status()) == (200, 401)
    assert [one.returncode for one in told] == [0, 0], told[0].stderr
    assert run_cli("public-tokens", "revoke", "a.b.c", cwd=dev.folder).returncode == 4
    http.close()
