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
    """An answer that is none of failure: the body as bytes, headers in lower case."""

    body: bytes
    headers: Mapping[str, str]
    status: int = 200

    @property
    def is_success(self) -> bool:
        """Whether the platform did what was asked."""
        return self.status < 300


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One API call.

    Attributes:
        method: HTTP method.
        path: path with its parameters filled in.
        read: turns the answer into a value.
        body: JSON object to send, or ``None``.
        repeated: what is added to it when it is sent again because no answer came.
        content: bytes to send instead, as they are.
        headers: further headers.
        accepts: statuses that are no failure, besides those of success.
        timeout_s: how long the answer may take, if not as long as usual.
        params: query parameters.
        idempotent: whether sending it twice does no harm, so that a lost answer may be retried.
    """

    method: str
    path: str
    read: Callable[[Answer], T]
    body: Mapping[str, Any] | None = None
    repeated: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    idempotent: bool = True
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accepts: frozenset[int] = frozenset()
    timeout_s: float | None = None


def reading(model: type[M]) -> Callable[[Answer], M]:
    """Return a reader that parses the body as ``model``."""
    return lambda answer: model.model_validate_json(answer.body)
