"""Environment variables (protocol A.11)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, RootModel, StringConstraints, field_validator

from trigger_core.schemas.base import WireModel

__all__ = [
    "REDACTED",
    "CreateVariable",
    "ImportVariables",
    "UpdateVariable",
    "Variable",
    "VariableError",
    "VariableList",
    "VariableName",
    "VariableRefusal",
    "VariableSource",
    "Variables",
]

REDACTED = "<redacted>"
"""Stands in the place of the value of a secret."""

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,255}$")]


class Variable(WireModel):
    """One variable; that of a secret has no value to read."""

    name: str
    value: str
    is_secret: bool = False


class VariableList(RootModel[list[Variable]]):
    """The answer of ``GET /api/v1/projects/{project_ref}/envvars/{env}``."""


class Variables(WireModel):
    """What a task finds in its environment: the variables with their values, those of the platform too.

    ``secrets`` are the names of those that must not be told.
    """

    variables: dict[str, str]
    secrets: list[str] = Field(default_factory=list)


class CreateVariable(WireModel):
    """The body of ``POST …/envvars/{env}``; a variable that exists gets the new value."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "SLACK_API_KEY", "value": "xoxb-1", "isSecret": True}]
        }
    )

    name: VariableName
    value: str
    is_secret: bool = False


class UpdateVariable(WireModel):
    """The body of ``PUT …/envvars/{env}/{name}``."""

    value: str


class VariableSource(WireModel):
    """Who writes variables."""

    type: Literal["user", "integration"]
    user_id: str | None = None
    integration: str | None = None


class ImportVariables(WireModel):
    """The body of ``POST …/envvars/{env}/import``.

    Attributes:
        variables: for the environment.
        parent_variables: for the parent of a branch; other environments have none.
        override: whether a variable that exists gets the new value; else it is an error.
        is_secret: whether the variables are secrets.
        source: who writes them.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"variables": {"LOG_LEVEL": "info"}, "override": True}]}
    )

    variables: dict[str, str]
    parent_variables: dict[str, str] = Field(default_factory=dict)
    override: bool = False
    is_secret: bool = False
    source: VariableSource | None = None

    @field_validator("variables", "parent_variables", mode="before")
    @classmethod
    def _as_object(cls, given: object) -> object:
        """Take a list of names with values too, and nothing for none."""
        if isinstance(given, list):
            return {one["name"]: one["value"] for one in map(dict, given)}
        return {} if given is None else given


class VariableError(WireModel):
    """What is wrong with one variable."""

    key: str
    error: str


class VariableRefusal(WireModel):
    """The answer to an import that was refused; nothing of it was written."""

    error: str
    code: str
    variable_errors: list[VariableError]
