"""What all wire models share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

__all__ = ["WireModel"]


class WireModel(BaseModel):
    """A frozen model, camelCase on the wire; unknown fields are ignored, absent is not null."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object to send; optional fields that are unset are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
