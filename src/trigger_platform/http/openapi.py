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

__all__ = ["describe"]

_PARAMETER = re.compile(r"{(\w+)(?::path)?}")
_REF = "#/components/schemas/{model}"
_SCHEMES = {
    Credential.KEY: "secretKey",
    Credential.PUBLIC_TOKEN: "publicToken",
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
        path = _PARAMETER.sub(r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one)
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "trigger-dev", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {
                "secretKey": bearer,
                "publicToken": bearer,
                "accessToken": bearer,
                "workerToken": bearer,
                "metricsToken": bearer,
            },
        },
    }


def _operation(one: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": one.handler.__name__,
        "summary": one.summary,
        "security": _security(one.access.value),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(one.path)
        ],
        "responses": {
            **{
                str(status): {"description": HTTPStatus(status).phrase} | _content(one.returns)
                for status in one.statuses
            },
            "4XX": {"description": "Refused"} | _content(ErrorBody),
        },
    }
    if one.body is not None:
        operation["requestBody"] = {"required": True} | _content(one.body)
    return operation


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    names = sorted({_SCHEMES[one] for one in rule.takes if one in _SCHEMES})
    return [{name: []} for name in names]


def _content(model: type[BaseModel] | None) -> dict[str, Any]:
    if model is None:
        return {}
    reference = {"$ref": _REF.format(model=model.__name__)}
    return {"content": {"application/json": {"schema": reference}}}
