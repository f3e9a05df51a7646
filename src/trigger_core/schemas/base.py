"""What all wire models share."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    RootModel,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.alias_generators import to_camel

__all__ = ["NullableModel", "WireList", "WireModel"]

T = TypeVar("T")


class WireModel(BaseModel):
    """A frozen model, camelCase on the wire; unknown fields are ignored, absent is not null."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,  # a text that says so would be taken for a number
    )

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object to send; optional fields that are unset are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class NullableModel(WireModel):
    """A model whose fields are always sent: clients that are strict want ``null`` where there is nothing."""

    model_config = ConfigDict(json_schema_extra={"x-with-null": True})

    @model_serializer(mode="wrap")
    def _with_null(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        given: dict[str, Any] = handler(self)
        names = type(self).model_fields
        return {field.alias or name: None for name, field in names.items()} | given


class WireList(RootModel[list[T]]):
    """An answer that is a bare array."""
