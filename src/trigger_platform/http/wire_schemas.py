"""JSON Schemas of the models as they look on the wire, for a description that clients are generated from.

Pydantic describes what a model would accept. What goes over the wire is less, and clients are the better for
knowing it: absent is not null, what has a default is always answered and need not be asked, moments are
moments, and words that several models share have one name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from trigger_core.machines import MachineName
from trigger_core.schemas.batches import BatchStatus
from trigger_core.schemas.deployments import DeploymentStatus
from trigger_core.schemas.runs import AnyRunStatus, RunStatus
from trigger_core.schemas.tokens import TokenStatus
from trigger_core.schemas.traces import TraceLevel

__all__ = ["PREFIX", "WireSchemas"]

PREFIX = "#/components/schemas/"
Json: TypeAlias = dict[str, Any]

_VOCABULARIES: Mapping[str, tuple[str, ...]] = {
    "AnyRunStatus": get_args(AnyRunStatus),
    "BatchStatus": get_args(BatchStatus),
    "DeploymentStatus": get_args(DeploymentStatus),
    "MachineName": get_args(MachineName),
    "RunStatus": get_args(RunStatus),
    "TokenStatus": get_args(TokenStatus),
    "TraceLevel": get_args(TraceLevel),
}
_NAMES = {values: name for name, values in _VOCABULARIES.items()}
_MOMENT = re.compile(r"(At|Until)$|^(nextRun|lastRun|timestamp)$")
_NULL = {"type": "null"}


class WireSchemas:
    """The schemas of models that are asked with, and of those that are answered with.

    Attributes:
        components: every schema by its name.
    """

    def __init__(self, asked: Iterable[type[BaseModel]], told: Iterable[type[BaseModel]]) -> None:
        questions, answers = set(asked), set(told)
        models = sorted(questions | answers, key=lambda model: model.__name__)
        template = PREFIX + "{model}"
        places, found = models_json_schema(
            [(model, "validation") for model in models], ref_template=template
        )
        self._places = {model: str(places[model, "validation"]["$ref"]) for model in models}
        raw: dict[str, Json] = found.get("$defs", {})
        either = _reachable(raw, {self._name(model) for model in questions})
        self.components: dict[str, Any] = {
            name: _spoken(schema, is_answer=name not in either) for name, schema in raw.items()
        } | {
            name: {"type": "string", "enum": list(values)} for name, values in _VOCABULARIES.items()
        }

    def reference(self, model: type[BaseModel]) -> Json:
        """Return what stands in the place of a model's schema."""
        return {"$ref": self._places[model]}

    def _name(self, model: type[BaseModel]) -> str:
        return self._places[model].removeprefix(PREFIX)


def _reachable(schemas: Mapping[str, Json], names: Iterable[str]) -> set[str]:
    """Return the names of schemas, and of all that they refer to."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _references(schemas.get(name, {}))
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(PREFIX)
        for part in schema.values():
            yield from _references(part)


def _spoken(schema: Json, *, is_answer: bool) -> Json:
    """Return a component's schema as the wire has it."""
    told: Json = _part(schema)
    properties: dict[str, Json] = told.get("properties", {})
    if not properties:
        return told
    with_null = told.pop("x-with-null", False)
    given: list[str] = told.get("required", [])
    constant = [name for name, part in properties.items() if "const" in part]
    required = list(properties) if with_null else [*given, *sorted(set(constant) - set(given))]
    told["properties"] = {
        name: _property(name, part, is_required=name in required, is_answer=is_answer)
        for name, part in properties.items()
    }
    if is_answer:
        # what has a default is always sent
        required = [
            name
            for name, part in told["properties"].items()
            if name in required or part.pop("default", None) is not None
        ]
    return told | ({"required": required} if required else {})


def _property(name: str, part: Json, *, is_required: bool, is_answer: bool) -> Json:
    told = {key: value for key, value in part.items() if key != "title"}
    if not is_required:
        told = _without_null(told)
    if not is_answer:
        return _with_default_in_words(told)
    if _MOMENT.search(name):
        _mark_moment(told)
    return told


def _with_default_in_words(part: Json) -> Json:
    """Say what a field means that is left out: generators would have clients send a ``default`` they know."""
    told = {key: value for key, value in part.items() if key != "default"}
    default = part.get("default")
    if isinstance(default, str) and default:
        said = f"{told['description']} " if "description" in told else ""
        told["description"] = f"{said}`{default}` if it is left out."
    return told


def _without_null(part: Json) -> Json:
    """Leave out that a field may be null: it is absent then."""
    if part.get("default", "") is None:
        part = {key: value for key, value in part.items() if key != "default"}
    if "anyOf" not in part:
        return part
    rest: list[Json] = [one for one in part["anyOf"] if one != _NULL]
    others = {key: value for key, value in part.items() if key != "anyOf"}
    return others | rest[0] if len(rest) == 1 else others | {"anyOf": rest}


def _mark_moment(part: Json) -> None:
    for one in (part, *part.get("anyOf", ())):
        if one.get("type") == "string":
            one["format"] = "date-time"


def _part(schema: Any) -> Any:
    """Return a schema with names for shared words, and without what OpenAPI has no words for.

    OpenAPI tells shapes apart by texts alone.
    """
    if isinstance(schema, list):
        return [_part(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shared = _NAMES.get(tuple(schema.get("enum", ())))
    if shared is not None and "default" not in schema:
        said = {"description": schema["description"]} if "description" in schema else {}
        return {"$ref": PREFIX + shared} | said
    by_flag = "true" in schema.get("discriminator", {}).get("mapping", {})
    return {
        key: _part(value)
        for key, value in schema.items()
        if not (by_flag and key == "discriminator")
    }
