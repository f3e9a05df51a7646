"""Environment variables (protocol A.11, D.3)."""

from __future__ import annotations

import io
from typing import Any

from dotenv import dotenv_values
from starlette.datastructures import FormData
from starlette.responses import Response

from trigger_core.errors import UsageError
from trigger_core.schemas.envvars import (
    REDACTED,
    CreateVariable,
    ImportVariables,
    UpdateVariable,
    Variable,
    VariableError,
    VariableList,
    VariableRefusal,
    Variables,
)
from trigger_core.schemas.tokens import Done
from trigger_platform.engine import variable
from trigger_platform.engine.unit import Unit
from trigger_platform.engine.variable import Changes, VariablesError
from trigger_platform.http import given_variables
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.store.rows import EnvironmentRow, VariableRow

__all__ = [
    "create_variable",
    "delete_variable",
    "import_variables",
    "list_variables",
    "replace_variable",
    "resolve_variables",
    "retrieve_variable",
    "update_variable",
]

_ALL = "/api/v1/projects/{project_ref}/envvars/{env}"
_ONE = _ALL + "/{name}"
_LIMIT = 1024 * 1024


@endpoint(
    "GET",
    "/api/v1/projects/{project_ref}/envvars",
    access=Access.VARIABLE_LOADER,
    returns=Variables,
)
async def resolve_variables(call: Incoming[None]) -> Variables:
    """Return what the tasks of the key's environment are given, with the values of secrets."""
    given = given_variables.of(call, call.principal.environment, call.project.organization_id)

    def work(u: Unit, environment: EnvironmentRow) -> Variables:
        rows = variable.rows(u, environment)
        values = {row.name: variable.read(u.keys, row) for row in rows}
        return Variables(
            variables=given_variables.beside(values, given),
            secrets=[row.name for row in rows if row.is_secret],
        )

    return await call.server.read(work, call.environment_id)


@endpoint("GET", _ALL, access=Access.VARIABLE_READER, returns=VariableList)
async def list_variables(call: Incoming[None]) -> Response:
    """List the variables of an environment in the order of their names; secrets have no value to read."""

    def work(u: Unit, environment: EnvironmentRow) -> list[Variable]:
        return [_shown(u, row) for row in variable.rows(u, environment)]

    listed = VariableList(await call.server.read(work, call.environment_id))
    return Response(listed.model_dump_json(by_alias=True), media_type="application/json")


@endpoint(
    "POST",
    _ALL,
    access=Access.VARIABLE_WRITER,
    body=CreateVariable,
    returns=Done,
    body_limit=_LIMIT,
)
async def create_variable(call: Incoming[CreateVariable]) -> Done:
    """Write a variable, whether it exists or not."""
    given = call.body
    await call.server.write(
        variable.create, call.environment_id, given.name, given.value, is_secret=given.is_secret
    )
    return Done()


def _from_form(form: FormData) -> dict[str, Any]:
    """Read a form: a file in the form of ``.env``, and whether it is written over what exists."""
    return {
        "variables": _dotenv(form.get("variables")),
        "parentVariables": _dotenv(form.get("parentVariables")),
        "override": form.get("override") == "true",
        "isSecret": form.get("isSecret") == "true",
    }


@endpoint(
    "POST",
    _ALL + "/import",
    access=Access.VARIABLE_WRITER,
    body=ImportVariables,
    returns=Done,
    body_limit=_LIMIT,
    form=_from_form,
)
async def import_variables(call: Incoming[ImportVariables]) -> Done | Reply:
    """Write several variables, all or none; those of a branch's parent too."""
    try:
        return await call.once(Done, _import, call.body)
    except VariablesError as error:
        problems = [VariableError(key=key, error=why) for key, why in error.problems.items()]
        body = VariableRefusal(error=error.what, code=error.code, variable_errors=problems)
        return Reply(body, status=error.status)


@endpoint("GET", _ONE, access=Access.VARIABLE_READER, returns=Variable)
async def retrieve_variable(call: Incoming[None]) -> Variable:
    """Read a variable; a secret has no value to read."""

    def work(u: Unit, environment: EnvironmentRow) -> Variable:
        return _shown(u, variable.find(u, environment, call.path("name")))

    return await call.server.read(work, call.environment_id)


@endpoint(
    "PUT",
    _ONE,
    access=Access.VARIABLE_WRITER,
    body=UpdateVariable,
    returns=Done,
    body_limit=_LIMIT,
)
async def update_variable(call: Incoming[UpdateVariable]) -> Done:
    """Give a variable another value; a secret stays one."""
    return await _update(call)


@endpoint(
    "POST",
    _ONE,
    access=Access.VARIABLE_WRITER,
    body=UpdateVariable,
    returns=Done,
    body_limit=_LIMIT,
)
async def replace_variable(call: Incoming[UpdateVariable]) -> Done:
    """Give a variable another value; some clients say it this way."""
    return await _update(call)


@endpoint("DELETE", _ONE, access=Access.VARIABLE_WRITER, returns=Done)
async def delete_variable(call: Incoming[None]) -> Done:
    """Remove a variable."""
    return await call.once(Done, _delete, call.path("name"))


def _delete(u: Unit, environment: EnvironmentRow, name: str) -> Done:
    variable.delete(u, environment, name)
    return Done()


async def _update(call: Incoming[UpdateVariable]) -> Done:
    await call.server.write(
        variable.update, call.environment_id, call.path("name"), call.body.value
    )
    return Done()


def _import(u: Unit, environment: EnvironmentRow, body: ImportVariables) -> Done:
    def changes(variables: dict[str, str]) -> Changes:
        source = body.source.model_dump_json(by_alias=True) if body.source else None
        return Changes(variables, body.override, body.is_secret, source)

    if body.parent_variables and environment.parent_id is not None:
        parent = u.tx.one("environment_by_id", EnvironmentRow, id=environment.parent_id)
        variable.put(u, parent, changes(body.parent_variables))
    variable.put(u, environment, changes(body.variables))
    return Done()


def _shown(u: Unit, row: VariableRow) -> Variable:
    value = REDACTED if row.is_secret else variable.read(u.keys, row)
    return Variable(name=row.name, value=value, is_secret=bool(row.is_secret))


def _dotenv(part: Any) -> dict[str, str]:
    """Read a file in the form of ``.env``, or a field of such text."""
    if part is None:
        return {}
    raw = part if isinstance(part, str) else part.file.read()
    try:
        text = raw if isinstance(raw, str) else raw.decode()
    except UnicodeDecodeError as error:
        raise UsageError("The file of variables is not UTF-8", code="INVALID_BODY") from error
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}
