"""Deserialisation: JSON alone; an error is data, whatever it calls itself, and a payload too."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from support.http import Platform
from trigger_core import packet


async def test_deserialisation_an_error_is_data_whatever_it_calls_itself(
    platform: Platform,
) -> None:
    """It comes back as it was sent; nothing is looked up by its name."""
    await platform.trigger("task")
    [run] = await platform.work("task")
    mark = {"runId": run["runId"], "lease": run["lease"]}
    await platform.report(started=[mark | {"at": platform.clock.now()}])
    error = {
        "type": "BUILT_IN_ERROR",
        "name": "os.system",
        "message": "!!python/object/apply:os.system ['touch /tmp/pwned']",
        "stackTrace": "__reduce__",
    }
    await platform.report(completions=[mark | {"ok": False, "error": error}])
    shown = (await platform.http.get(f"/api/v3/runs/{run['runId']}")).json()

    assert shown["error"]["name"] == "os.system"
    assert shown["error"]["message"] == error["message"]


TEXTS = [
    "", "[]", "1", '"x"', "null", '{"json":{},"meta":5}', '{"json":[1],"meta":{"values":[["Date"]]}}', "NaN",
    '{"json":{"a":1},"meta":{"values":{"a":["Date"],"__class__.__init__":["set"]}}}', "[" * 999,
    '{"a":1e999}',
    "not json", "\x00", '"\\ud800"', '{"\\ud800":1}', "1" * 5000, '{"__proto__":{"admin":true}}', "a/../../b",
    '{"json":"x","meta":{"values":["bigint"]}}', '{"json":"(a+)+$","meta":{"values":["regexp"]}}',
]  # fmt: skip
KINDS = ["application/json", "application/super+json", "text/plain", "application/store", "x/y", ""]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_deserialisation_no_payload_breaks_what_shows_it(
    platform: Platform, text: str
) -> None:
    """Whatever type it claims: it is refused, or everything that shows the run can show it."""
    for kind in KINDS:
        options = {"payloadType": kind, "metadata": text, "metadataType": kind}
        body = {"payload": text, "options": options}
        made = await platform.http.post("/api/v1/tasks/task/trigger", json=body)
        assert made.status_code < 500, (kind, made.text)
        if made.status_code != 200:
            continue
        run = made.json()["id"]
        for path in (
            f"/api/v3/runs/{run}",
            f"/runs/{run}",
            f"/realtime/v1/runs/{run}?offset=-1",
            f"/api/v1/runs/{run}/trace",
        ):
            assert (await platform.http.get(path)).status_code == 200, (kind, path)
        replayed = await platform.http.post(f"/api/v1/runs/{run}/replay")
        assert replayed.status_code == 200, (kind, replayed.text)


def _values(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value, *itertools.chain.from_iterable(map(_values, inner))]


def test_deserialisation_an_encoded_value_names_no_class() -> None:
    """Types that are no JSON are a fixed handful; any other name leaves the value as it is."""
    for name in ("builtins.eval", "os.system", "Error", "__main__.X", "custom", "class"):
        for annotation in (f'["{name}"]', f'[["custom","{name}"]]', f'[["class","{name}"]]'):
            text = f'{{"json":{{"a":{{"cmd":"id"}}}},"meta":{{"values":{{"a":{annotation}}}}}}}'
            for value in _values(packet.decode(text, packet.SUPERJSON)):
                assert type(value).__module__ == "builtins", (name, value)
                assert isinstance(value, dict | str | Exception), (name, value)
