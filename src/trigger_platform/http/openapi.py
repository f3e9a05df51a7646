"""The OpenAPI 3.1 description, made from the same table the routes are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib import metadata
from typing import Any

from pydantic import BaseModel

from trigger_core.schemas.errors import ErrorBody
from trigger_platform.http.access import Credential, Rule
from trigger_platform.http.endpoint import Endpoint
from trigger_platform.http.parameter import Parameter
from trigger_platform.http.wire_schemas import WireSchemas

__all__ = ["describe"]

_PAGES = "Pages and forms for people; programs have no use for them."
_REFERENCE = re.compile(r" \(protocol [^)]*\)")
_PARAMETER = re.compile(r"{(\w+)}")
_SCHEMES = {
    Credential.KEY: "secretKey",
    Credential.PUBLIC_TOKEN: "publicToken",
    Credential.USER_TOKEN: "accessToken",
    Credential.ORGANIZATION_TOKEN: "accessToken",
    Credential.WORKER_TOKEN: "workerToken",
    Credential.METRICS_TOKEN: "metricsToken",
}
_SAYS = {
    "secretKey": "An environment's secret key, such as tr_dev_… or tr_prod_…",
    "publicToken": "A token with scopes that a secret key signed; it may be shown to browsers.",
    "accessToken": "The token of a user (tr_pat_…) or of an organisation (tr_oat_…).",
    "workerToken": "The token of a worker group (tr_wgt_…).",
    "metricsToken": "The token that the server's settings name for metrics.",
}
_EXAMPLES: Mapping[str, str] = {
    "run_id": "run_06dbd5v801ad7l6rkq3me2uq01",
    "batch_id": "batch_06dbd5v801ad7l6rkq3me2uq01",
    "token_id": "waitpoint_06dbd5v801ad7l6rkq3me2uq01",
    "deployment_id": "deployment_k5xm3wq8yz7v2t4r6p9nj",
    "project_ref": "proj_abcdefghijklmnopqrst",
    "env": "prod",
    "task_id": "send-email",
    "version": "20260131.2",
}


def describe(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the description of all routes."""
    listed = list(endpoints)
    schemas = WireSchemas(
        asked=[one.body for one in listed if one.body is not None],
        told=[ErrorBody, *(one.returns for one in listed if one.returns is not None)],
    )
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        paths.setdefault(one.shown_path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "trigger-dev",
            "version": metadata.version("trigger-dev"),
            "description": "Durable background tasks: trigger them, follow them, steer them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": _groups(listed),
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                name: {"type": "http", "scheme": "bearer", "description": says}
                for name, says in _SAYS.items()
            },
        },
    }


def _groups(listed: Iterable[Endpoint]) -> list[dict[str, str]]:
    """Return the groups of operations; what one is about stands at the head of its file."""
    said = {
        one.group: _PAGES if one.is_page else sys.modules[one.handler.__module__].__doc__ or ""
        for one in listed
    }
    return [
        {"name": name, "description": _REFERENCE.sub("", text.strip().splitlines()[0])}
        for name, text in sorted(said.items())
    ]


def _operation(one: Endpoint, schemas: WireSchemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.group],
        "summary": one.summary,
        "security": _security(one.access.value),
        "parameters": [
            *(_in_path(name) for name in _PARAMETER.findall(one.shown_path)),
            *(_in_query(each).described() for each in one.query),
        ],
        "responses": {
            **{
                str(status): {"description": HTTPStatus(status).phrase}
                | _told(one, status, schemas)
                for status in one.statuses
            },
            "4XX": {
                "description": "Refused",
                "content": {
                    "application/json": {"schema": schemas.reference(ErrorBody)},
                    **({"text/html": {}} if one.is_page else {}),
                },
            },
        },
    }
    if one.body is not None:
        operation["requestBody"] = _asked(one, one.body, schemas)
    return operation


def _in_path(name: str) -> dict[str, Any]:
    said = {"example": _EXAMPLES[name]} if name in _EXAMPLES else {}
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} | said


def _in_query(given: Parameter | str) -> Parameter:
    return Parameter(given) if isinstance(given, str) else given


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    names = sorted({_SCHEMES[one] for one in rule.takes if one in _SCHEMES})
    return [{name: []} for name in names]


def _told(one: Endpoint, status: int, schemas: WireSchemas) -> dict[str, Any]:
    if status == HTTPStatus.NO_CONTENT:
        return {}
    if one.returns is not None:
        return {"content": {"application/json": {"schema": schemas.reference(one.returns)}}}
    return {"content": {one.media: {}}} if one.media else {}


def _asked(one: Endpoint, body: type[BaseModel], schemas: WireSchemas) -> dict[str, Any]:
    # a form is not told of: generators of clients stumble over a body of two kinds
    content = {"application/json": {"schema": schemas.reference(body)}}
    return {"required": not one.is_body_optional, "content": content}
