"""The description at ``/openapi.json`` is one that good clients are generated from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trigger_platform.app import ENDPOINTS
from trigger_platform.http import openapi

Json = dict[str, Any]


@pytest.fixture(scope="module")
def described() -> Json:
    """The description."""
    return openapi.describe(ENDPOINTS)


@pytest.fixture(scope="module")
def schemas(described: Json) -> Json:
    """The schemas in it."""
    return dict(described["components"]["schemas"])


def _operations(described: Json) -> Iterator[Json]:
    for item in described["paths"].values():
        yield from item.values()


def _inside(part: Any) -> Iterator[Json]:
    """Yield every object of the description."""
    if isinstance(part, list):
        for one in part:
            yield from _inside(one)
    elif isinstance(part, dict):
        yield part
        for one in part.values():
            yield from _inside(one)


def test_no_route_is_there_twice() -> None:
    """The second one would never be called."""
    listed = Counter((one.method, one.path) for one in ENDPOINTS)
    assert [route for route, times in listed.items() if times > 1] == []


def test_every_operation_has_a_name_of_its_own(described: Json) -> None:
    """Clients make functions of them, in modules named by the groups."""
    names = Counter(one["operationId"] for one in _operations(described))
    assert [name for name, times in names.items() if times > 1] == []
    groups = {one["name"] for one in described["tags"] if one["description"]}
    assert {tag for one in _operations(described) for tag in one["tags"]} == groups


def test_every_example_is_one_that_the_route_takes() -> None:
    """A model that is made from another one has examples of its own."""
    bodies = {one.body for one in ENDPOINTS if one.body is not None}
    examples = [
        (body, example)
        for body in bodies
        for example in body.model_json_schema().get("examples", [])
    ]
    assert len(examples) > 10
    for body, example in examples:
        body.model_validate(example)


def test_every_reference_leads_to_a_schema(described: Json, schemas: Json) -> None:
    """Two models of one name would have none."""
    found = {part["$ref"] for part in _inside(described) if isinstance(part.get("$ref"), str)}
    assert found <= {f"#/components/schemas/{name}" for name in schemas}
    assert [name for name in schemas if "__" in name] == []


def test_what_is_absent_is_not_null(schemas: Json) -> None:
    """Only what is always sent may be."""
    run = schemas["RunDetail"]
    assert run["properties"]["startedAt"] == {"type": "string", "format": "date-time"}
    assert "startedAt" not in run["required"]
    nullable = {
        (name, field)
        for name, schema in schemas.items()
        for field, part in schema.get("properties", {}).items()
        if {"type": "null"} in part.get("anyOf", [])
    }
    assert ("QueueDetail", "concurrencyLimit") in nullable
    assert all(field in schemas[name]["required"] for name, field in nullable)


def test_what_is_always_sent_is_required(schemas: Json) -> None:
    """Though the model has a default for it; what is asked may be left out, and need not be sent."""
    assert {"tags", "costInCents", "depth", "status"} <= set(schemas["RunSummary"]["required"])
    asked = schemas["CreateSchedule"]
    assert "timezone" not in asked["required"]
    zone = asked["properties"]["timezone"]
    assert zone == {"type": "string", "description": "`UTC` if it is left out."}
    assert "options" not in schemas["TriggerTask"].get("required", [])
    assert "default" not in schemas["TriggerTask"]["properties"]["options"]


def test_words_that_models_share_have_one_name(schemas: Json) -> None:
    """A client has one type of them."""
    for name in ("RunSummary", "RunDetail"):
        status = schemas[name]["properties"]["status"]
        assert status == {"$ref": "#/components/schemas/AnyRunStatus"}
    assert {"FROZEN", "COMPLETED"} <= set(schemas["AnyRunStatus"]["enum"])


def test_parameters_say_what_they_take(described: Json) -> None:
    """Numbers, flags, and lists of words that are joined with commas."""
    listing = described["paths"]["/api/v1/runs"]["get"]["parameters"]
    told = {one["name"]: one for one in listing}
    assert told["page[size]"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100}
    assert told["filter[isTest]"]["schema"] == {"type": "boolean"}
    status = told["filter[status]"]
    assert (status["schema"]["type"], status["explode"]) == ("array", False)
    assert "QUEUED" in status["schema"]["items"]["enum"]


def test_a_body_that_may_be_left_out_is_not_required(described: Json) -> None:
    """Others are."""
    paths = described["paths"]
    assert not paths["/api/v1/waitpoints/tokens"]["post"]["requestBody"]["required"]
    assert paths["/api/v1/tasks/{task_id}/trigger"]["post"]["requestBody"]["required"]


def test_answers_that_are_no_json_are_told(described: Json) -> None:
    """Streams of events say so, and nothing is nothing."""
    paths = described["paths"]
    follow = paths["/api/v1/runs/{run_id}/follow"]["get"]["responses"]["200"]
    assert set(follow["content"]) == {"text/event-stream"}
    cancel = paths["/api/v1/deployments/{deployment_id}/cancel"]["post"]["responses"]
    assert "content" not in cancel["204"]


GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "generate-a-client.md"


def test_the_guide_names_operations_parameters_and_models_that_there_are(
    described: Json, schemas: Json
) -> None:
    """As generators make names of them."""
    text = GUIDE.read_text()
    operations = {(one["tags"][0], one["operationId"]): one for one in _operations(described)}
    imported = re.findall(r"from trigger_dev_client\.api\.(\w+) import (.+)", text)
    named = {(group, name.strip()) for group, names in imported for name in names.split(",")}
    assert named
    assert named <= set(operations)
    parameters = {
        re.sub(r"\W", "", one["name"]) for one in operations["runs", "list_runs"]["parameters"]
    }
    assert set(re.findall(r"(filter\w+|page\w+)=", text)) <= parameters
    models = set(re.findall(r"models\.(\w+)", text))
    assert {name for name in models if not name.endswith("Item")} <= set(schemas)
    assert set(re.findall(r'client\.\w+\("([^"]+)"', text)) <= set(described["paths"])
