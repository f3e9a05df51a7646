"""A call: what to send and how to read the answer, without sending it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from trigger_core.schemas.base import WireModel

__all__ = ["Answer", "Call", "reading"]

T = TypeVar("T")
M = TypeVar("M", bound=WireModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: the body as bytes, headers in lower case."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One API call.

    Attributes:
        method: HTTP method.
        path: path with its parameters filled in.
        read: turns the answer into a value.
        body: JSON object to send, or ``None``.
        params: query parameters.
        idempotent: whether sending it twice does no harm, so that a lost answer may be retried.
        headers: further headers.
    """

    method: str
    path: str
    read: Callable[[Answer], T]
    body: Mapping[str, Any] | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    idempotent: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


def reading(model: type[M]) -> Callable[[Answer], M]:
    """Return a reader that parses the body as ``model``."""
    return lambda answer: model.model_validate_json(answer.body)
