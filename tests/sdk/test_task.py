"""``@task``: declaring, binding, triggering options, configuration, finding the session."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from trigger_core.errors import (
    ConfigError,
    InvalidDurationError,
    InvalidPayloadError,
    NoSessionError,
    PayloadTooLargeError,
)
from trigger_core.retry import RetryPolicy
from trigger_sdk import (
    Context,
    Debounce,
    Options,
    Queue,
    Retry,
    _session,
    config,
    idempotency_keys,
    task,
    wait,
)
from trigger_sdk.errors import TriggerError


class Item(BaseModel):
    price: float


class Order(BaseModel):
    items: list[Item]


@task
async def send_order(order: Order) -> Order:
    """Send it.

    More words.
    """
    return order


@task
def add(ctx: Context, left: int, right: int = 2) -> int:
    return left + right


@task
def nothing() -> None: ...


def test_a_task_is_still_its_function() -> None:
    """Called directly it just runs."""
    assert add.fn(None, 1) == 3
    assert send_order.id == "send-order"
    assert send_order.spec.description == "Send it."
    assert send_order.spec.is_async


async def test_an_async_task_can_be_awaited() -> None:
    """Without a platform."""
    order = Order(items=[])

    assert await send_order(order) is order


def test_one_parameter_is_the_payload_and_several_are_its_keys() -> None:
    """The context belongs to neither."""
    ctx: Any = object()

    assert send_order.signature.bind({"items": [{"price": "2"}]}, ctx) == (
        (),
        {"order": Order(items=[Item(price=2)])},
    )
    assert add.signature.bind({"left": "4"}, ctx) == ((), {"ctx": ctx, "left": 4, "right": 2})
    assert nothing.signature.bind(None, ctx) == ((), {})
    assert add.signature.payload((1,), {"right": 5}) == {"left": 1, "right": 5}
    assert nothing.signature.schema() is None
    schema = add.signature.schema()
    assert schema is not None
    assert set(schema["properties"]) == {"left", "right"}


def test_a_payload_that_does_not_fit_is_pointed_into() -> None:
    """By path, before anything is sent."""
    with pytest.raises(InvalidPayloadError) as caught:
        send_order.signature.bind({"items": [{"price": "x"}]}, None)
    assert "payload.items[0].price" in (caught.value.because or "")
    with pytest.raises(InvalidPayloadError):
        add.trigger_sync("one")  # type: ignore[arg-type]


def test_a_payload_over_three_mebibytes_is_not_sent() -> None:
    """The limit is named."""

    @task(id="big")
    def big(text: str) -> None: ...

    with pytest.raises(PayloadTooLargeError, match="3,145,728"):
        big.trigger_sync("x" * (3 * 1024 * 1024 + 1))


def test_options_become_the_wires_names() -> None:
    """And are checked here."""
    wire = Options(
        delay="1h30m", ttl="5m", tags="t", queue=Queue("q"), max_duration="1m", version="20260101.1"
    ).to_wire()

    assert wire == {
        "delay": "1h30m",
        "ttl": "5m",
        "tags": ["t"],
        "queue": {"name": "q"},
        "maxDuration": 60.0,
        "lockToVersion": "20260101.1",
    }
    with pytest.raises(InvalidDurationError):
        Options(delay="soonish").to_wire()
    with pytest.raises(ConfigError, match="wrong_name"):
        send_order.with_options(wrong_name=1)


def test_idempotency_keys_are_hashed_as_every_client_does() -> None:
    """Protocol 0.5; 64 characters are a hash already."""
    key = idempotency_keys.create(["a", "b"], scope="global")

    assert key.hash == idempotency_keys.create("a-b").hash
    assert idempotency_keys.create("x" * 64).hash == "x" * 64


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Retry(max_attempts=0).policy(),
        lambda: Retry(factor=0.5).policy(),
        lambda: Retry(min_delay="soon").policy(),
        lambda: Queue("q", concurrency_limit=-1),
        lambda: task(machine="huge")(lambda: None),  # type: ignore[call-overload]
        lambda: task(isolation="thread")(lambda: None),  # type: ignore[call-overload]
        lambda: config.define_config(project=""),
        lambda: config.define_config(project="p", dirs="tasks"),
        lambda: config.define_config(project="p", max_concurrent_runs=0),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_stands(declare: Any) -> None:
    """Not when it is used."""
    with pytest.raises(TriggerError):
        declare()


def test_waiting_outside_a_run_says_so() -> None:
    """With what to do instead."""
    with pytest.raises(TriggerError, match="no run to wait in"):
        wait.for_sync(seconds=1)


@pytest.mark.parametrize(
    ("text", "line", "because"),
    [
        ("config = (\n", 1, "SyntaxError"),
        ("\n\nimport nothing_of_this_name\n", 3, "ModuleNotFoundError"),
        (
            "from trigger_sdk import define_config\nconfig = define_config(project=3)\n",
            2,
            "project",
        ),
    ],
)
def test_a_corrupt_configuration_is_located(
    tmp_path: Path, text: str, line: int, because: str
) -> None:
    """File, line and cause."""
    (tmp_path / "trigger_config.py").write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path)

    assert (caught.value.at or "").endswith(f"trigger_config.py:{line}")
    assert because in (caught.value.because or "")


def test_the_session_is_found_upwards_and_variables_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a missing one names what was looked at."""
    monkeypatch.delenv("TRIGGER_API_URL", raising=False)
    monkeypatch.delenv("TRIGGER_SECRET_KEY", raising=False)
    with pytest.raises(NoSessionError, match="TRIGGER_API_URL and TRIGGER_SECRET_KEY not set"):
        _session.find(tmp_path)
    (tmp_path / ".trigger").mkdir()
    (tmp_path / ".trigger" / "dev.json").write_text(json.dumps({"apiUrl": "u", "secretKey": "k"}))
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert _session.find(below) == _session.Credentials("u", "k")
    monkeypatch.setenv("TRIGGER_SECRET_KEY", "mine")
    assert _session.find(below) == _session.Credentials("u", "mine")


def test_types_of_trigger_are_the_tasks_own(tmp_path: Path) -> None:
    """A wrong payload is an error of the type checker; the output's type is known."""
    file = tmp_path / "typed.py"
    file.write_text(
        "from trigger_sdk import Context, runs, task\n"
        "@task\n"
        "async def double(ctx: Context, n: int) -> list[int]:\n"
        "    return [n, n]\n"
        "async def main() -> None:\n"
        "    handle = await double.trigger(4)\n"
        "    run = await runs.poll(handle)\n"
        "    reveal_type(run.output)\n"
        "    await double.trigger('four')\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = checked.stdout.splitlines()
    assert any(
        'Revealed type is "list[int] | None"' in line.replace("builtins.", "") for line in lines
    )
    assert [line for line in lines if "error:" in line] == [
        line for line in lines if ":9: error: Argument 1" in line
    ], checked.stdout
    assert any(":9: error:" in line for line in lines)


def test_a_batch_takes_whole_payloads() -> None:
    """One parameter is the payload, several are an object, none is None; all are checked."""

    @task(id="whole-none")
    def none() -> None: ...

    @task(id="whole-two")
    def two(left: int, right: int = 2) -> None: ...

    assert none.encode_whole(None).data is None
    assert two.encode_whole({"left": 1}).data == '{"left":1}'
    with pytest.raises(InvalidPayloadError, match="takes no payload"):
        none.encode_whole(1)
    with pytest.raises(InvalidPayloadError):
        two.encode_whole({"right": 1})


def test_a_key_of_the_payload_is_the_same_for_equal_payloads() -> None:
    """Whatever the order of their members."""
    one = idempotency_keys.of_payload('{"a": 1, "b": [2]}')
    same = idempotency_keys.of_payload('{"b":[2],"a":1}')
    other = idempotency_keys.of_payload('{"a": 2}')

    assert one == same != other
    wire = Options(idempotency_key="payload").to_wire('{"a": 1, "b": [2]}')
    assert wire["idempotencyKey"] == one.hash
    assert wire["idempotencyKeyOptions"] == {"key": one.key, "scope": "run"}


def test_a_key_of_another_run_is_salted_with_that_run() -> None:
    """So it can be reset from outside."""
    salted = idempotency_keys.salted("k", "run_1")

    assert salted == idempotency_keys.create(["k", "run_1"]).hash
    assert idempotency_keys.salted("k") == idempotency_keys.create("k").hash
    assert idempotency_keys.salted("f" * 64, "run_1") == "f" * 64


def test_no_limit_and_a_debounce_go_over_the_wire() -> None:
    """As the protocol spells them."""
    chosen = Debounce(key="k", delay="5s", mode="trailing", max_delay=timedelta(minutes=1))
    wire = Options(max_duration="none", debounce=chosen).to_wire()

    assert wire["maxDuration"] == 2**31 - 1
    assert wire["debounce"] == {"key": "k", "delay": "5s", "mode": "trailing", "maxDelay": "1m"}


@pytest.mark.parametrize(
    "machine",
    ["huge", {"cpu": 1}, {"cpu": 64, "memory": 1}, {}],
)
def test_a_machine_that_does_not_exist_is_refused_when_the_task_is_declared(machine: Any) -> None:
    """Nothing waits for the first run to tell."""
    with pytest.raises(ConfigError):
        task(machine=machine)(nothing.fn)


def test_a_machine_may_be_given_by_size() -> None:
    """The smallest that has both."""
    made = task(id="sized", machine={"cpu": 1, "memory": 1.5})(nothing.fn)

    assert made.spec.machine == "medium-1x"


def test_unknown_presets_are_refused_in_options_and_retries() -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError):
        Options(machine="huge").to_wire()  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        Retry(out_of_memory_machine="huge").policy()  # type: ignore[arg-type]

    policy = Retry(out_of_memory_machine="large-1x").policy()
    assert policy.to_wire()["outOfMemory"] == {"machine": "large-1x"}
    assert RetryPolicy.from_wire(policy.to_wire()) == policy
