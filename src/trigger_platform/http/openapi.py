"""The OpenAPI 3.1 description, made from the same table the routes are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from trigger_core.schemas.errors import ErrorBody
from trigger_platform.http.access import Credential, Rule
from trigger_platform.http.endpoint import Endpoint

__all__ = ["describe", "path_of"]

_PARAMETER = re.compile(r"{(\w+)}")
_CONVERTER = re.compile(r":\w+}")
_REF = "#/components/schemas/{model}"
_SCHEMES = {
    Credential.KEY: "secretKey",
    Credential.PUBLIC_TOKEN: "publicToken",
    Credential.RUN_TOKEN: "runToken",
    Credential.USER_TOKEN: "accessToken",
    Credential.ORGANIZATION_TOKEN: "accessToken",
    Credential.WORKER_TOKEN: "workerToken",
    Credential.METRICS_TOKEN: "metricsToken",
}


def describe(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the description of all routes."""
    listed = list(endpoints)
    models: set[type[BaseModel]] = {ErrorBody}
    models |= {model for one in listed for model in (one.body, one.returns) if model is not None}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        paths.setdefault(path_of(one), {})[one.method.lower()] = _operation(one)
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "trigger-dev", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": _speaking_openapi(schemas.get("$defs", {})),
            "securitySchemes": {
                "secretKey": bearer,
                "publicToken": bearer,
                "runToken": bearer,
                "accessToken": bearer,
                "workerToken": bearer,
                "metricsToken": bearer,
            },
        },
    }


def _speaking_openapi(schema: Any) -> Any:
    """Return a JSON Schema without what OpenAPI has no words for: it tells shapes apart by texts alone."""
    if isinstance(schema, list):
        return [_speaking_openapi(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    by_flag = "true" in schema.get("discriminator", {}).get("mapping", {})
    return {
        key: _speaking_openapi(part)
        for key, part in schema.items()
        if not (by_flag and key == "discriminator")
    }


def path_of(one: Endpoint) -> str:
    """Return the path of a route as the description spells it."""
    return _CONVERTER.sub("}", one.path)


def _operation(one: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": one.handler.__name__,
        "summary": one.summary,
        "security": _security(one.access.value),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(path_of(one))
        ]
        + [{"name": name, "in": "query", "schema": {"type": "string"}} for name in one.query],
        "responses": {
            **{
                str(status): {"description": HTTPStatus(status).phrase} | _content(one.returns)
                for status in one.statuses
            },
            "4XX": {"description": "Refused"} | _content(ErrorBody, *(["text/html"] * one.is_page)),
        },
    }
    if one.body is not None:
        operation["requestBody"] = {"required": True} | _content(one.body)
    return operation


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    names = sorted({_SCHEMES[one] for one in rule.takes if one in _SCHEMES})
    return [{name: []} for name in names]


def _content(model: type[BaseModel] | None, *others: str) -> dict[str, Any]:
    if model is None:
        return {}
    reference = {"$ref": _REF.format(model=model.__name__)}
    return {"content": {"application/json": {"schema": reference}, **{kind: {} for kind in others}}}
