"""Environment variables (protocol A.11)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from trigger_core.api.call import Answer, Call, reading
from trigger_core.schemas.envvars import (
    CreateVariable,
    ImportVariables,
    UpdateVariable,
    Variable,
    VariableList,
    Variables,
)
from trigger_core.schemas.tokens import Done

__all__ = [
    "VariablesOf",
    "create",
    "delete",
    "import_variables",
    "list_all",
    "resolved",
    "retrieve",
    "update",
]


@dataclass(frozen=True, slots=True)
class VariablesOf:
    """The environment of a project that is meant: ``dev``, ``staging``, ``prod`` or ``preview``."""

    project_ref: str
    environment: str

    def path(self, suffix: str = "") -> str:
        """Return the path of its variables."""
        return f"/api/v1/projects/{quote(self.project_ref)}/envvars/{self.environment}{suffix}"

    def path_of(self, name: str) -> str:
        """Return the path of one of its variables."""
        return self.path(f"/{quote(name, safe='')}")


def list_all(where: VariablesOf) -> Call[list[Variable]]:
    """Read the variables of an environment in the order of their names."""
    return Call("GET", where.path(), _variables)


def create(where: VariablesOf, variable: CreateVariable) -> Call[Done]:
    """Write a variable, whether it exists or not."""
    return Call("POST", where.path(), reading(Done), body=variable.to_wire())


def import_variables(where: VariablesOf, variables: ImportVariables) -> Call[Done]:
    """Write several variables, all or none."""
    return Call("POST", where.path("/import"), reading(Done), body=variables.to_wire())


def retrieve(where: VariablesOf, name: str) -> Call[Variable]:
    """Read a variable."""
    return Call("GET", where.path_of(name), reading(Variable))


def update(where: VariablesOf, name: str, value: str) -> Call[Done]:
    """Give a variable another value."""
    body = UpdateVariable(value=value).to_wire()
    return Call("PUT", where.path_of(name), reading(Done), body=body)


def delete(where: VariablesOf, name: str) -> Call[Done]:
    """Remove a variable."""
    return Call("DELETE", where.path_of(name), reading(Done))


def resolved(project_ref: str) -> Call[Variables]:
    """Read what tasks of the key's own environment are given, with the values of secrets."""
    path = f"/api/v1/projects/{quote(project_ref)}/envvars"
    return Call("GET", path, reading(Variables))


def _variables(answer: Answer) -> list[Variable]:
    return VariableList.model_validate_json(answer.body).root
