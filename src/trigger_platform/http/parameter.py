"""Parameters of queries, as the description tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Parameter", "flag", "integer", "texts", "word", "words"]

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a query; ``says`` tells what it is for, where the name does not."""

    name: str
    says: str = ""
    schema: Schema = field(default_factory=lambda: {"type": "string"})

    def described(self) -> dict[str, Any]:
        """Return it as OpenAPI writes it; the parts of a list are joined with commas."""
        told: dict[str, Any] = {"name": self.name, "in": "query", "schema": dict(self.schema)}
        if self.says:
            told["description"] = self.says
        if self.schema.get("type") == "array":
            told |= {"style": "form", "explode": False}
        return told


def integer(name: str, *, low: int, high: int | None = None, says: str = "") -> Parameter:
    """A whole number."""
    schema = {"type": "integer", "minimum": low} | ({} if high is None else {"maximum": high})
    return Parameter(name, says, schema)


def flag(name: str, *, says: str = "") -> Parameter:
    """Yes or no."""
    return Parameter(name, says, {"type": "boolean"})


def texts(name: str, *, says: str = "") -> Parameter:
    """A list of texts."""
    return Parameter(name, says, {"type": "array", "items": {"type": "string"}})


def word(name: str, known: Iterable[str], *, says: str = "") -> Parameter:
    """One of some words."""
    return Parameter(name, says, {"type": "string", "enum": list(known)})


def words(name: str, known: Iterable[str], *, says: str = "") -> Parameter:
    """A list of such words."""
    items = {"type": "string", "enum": list(known)}
    return Parameter(name, says, {"type": "array", "items": items})
