"""One run to create: a task, a payload, options; how batches are put together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from trigger_core import packet
from trigger_sdk.options import Options

if TYPE_CHECKING:
    from trigger_core.packet import Packet

__all__ = ["Item", "TaskTarget"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class TaskTarget(Protocol[R_co]):
    """Something runs can be created of."""

    @property
    def id(self) -> str:
        """The task's id."""
        ...

    def decode_output(self, value: Any) -> R_co:
        """Read a run's output."""
        ...


@dataclass(frozen=True, slots=True)
class Item(Generic[R]):
    """One run to create: a task, a payload, options."""

    task: TaskTarget[R]
    payload: Packet
    options: Options

    def to_wire(self) -> dict[str, Any]:
        """Return the item as it is sent: JSON goes as JSON, other packets as their text (protocol A.2)."""
        data = self.payload.data
        options = self.options.to_wire(data) | {"payloadType": self.payload.type}
        is_json = self.payload.type == packet.JSON and data is not None
        return {
            "task": self.task.id,
            "payload": json.loads(data) if is_json and data is not None else data,
            "options": options,
        }
