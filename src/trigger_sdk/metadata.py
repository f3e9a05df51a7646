"""Metadata of the current run: ``metadata.set("progress", 0.5)``, seen from outside while the run goes on.

Operations are told at once and written together: about once a second, at waits and with the end of the
attempt. Reading shows what this code has made of it. In a plain call of a task's function there is no run:
changes leave a line in the log and do nothing else.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from trigger_core import metadata as arithmetic
from trigger_core import packet
from trigger_core.metadata import Operation
from trigger_sdk._host import ActiveRun, current_run

__all__ = ["Changes", "Metadata", "metadata"]

C = TypeVar("C", bound="Changes")

_fallback = logging.getLogger("trigger")


class Changes:
    """Changes the metadata of a run; every method returns the object, so that calls can be chained.

    A key that begins with ``$.`` is a path, such as ``$.steps[0].name``. All raise ``UsageError`` for a key
    that is not allowed.
    """

    def __init__(self, target: Literal["run", "parent", "root"]) -> None:
        self._target = target

    def set(self, key: str, value: Any) -> Self:
        """Set a member; the value may be anything that a task could return."""
        return self._change(Operation("set", key, _plain(value)))

    def update(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Set several members, as ``dict.update`` does; the others stay."""
        for key, value in {**(values or {}), **more}.items():
            self.set(key, value)
        return self

    def replace(self, values: Mapping[str, Any]) -> Self:
        """Replace the whole object."""
        return self._change(Operation("update", value=_plain(dict(values))))

    def delete(self, key: str) -> Self:
        """Delete a member, if it is there."""
        return self._change(Operation("delete", key))

    def append(self, key: str, value: Any) -> Self:
        """Append to a list; one is made if there is none."""
        return self._change(Operation("append", key, _plain(value)))

    def remove(self, key: str, value: Any) -> Self:
        """Remove every element of a list that equals a value."""
        return self._change(Operation("remove", key, _plain(value)))

    def increment(self, key: str, by: float = 1) -> Self:
        """Add to a number; a missing one is 0. Several runs may do so at once."""
        return self._change(Operation("increment", key, by))

    def decrement(self, key: str, by: float = 1) -> Self:
        """Subtract from a number."""
        return self.increment(key, -by)

    def _change(self, operation: Operation) -> Self:
        active = current_run.get()
        if active is None:
            arithmetic.apply({}, [operation])
            _fallback.warning("metadata is not kept: this code does not execute in a run")
            return self
        self._apply(active, operation)
        told = {"type": operation.type, "key": operation.key, "value": operation.value}
        active.host.change_metadata(self._target, told)
        return self

    def _apply(self, active: ActiveRun, operation: Operation) -> None:
        """What a relative makes of it is known only where its metadata is; here the key is checked."""
        is_own = self._target == "run" or active.ctx.run.parent_id is None
        before = active.metadata if is_own else {}
        after = arithmetic.apply(before, [operation])
        arithmetic.checked(after)
        if is_own:
            active.metadata.clear()
            active.metadata.update(after)


class Metadata(Changes):
    """The metadata of the current run; ``parent`` and ``root`` change that of the runs above it.

    A run without a parent is its own parent and root.
    """

    def __init__(self) -> None:
        super().__init__("run")
        self.parent = Changes("parent")
        self.root = Changes("root")

    def get(self, key: str, default: Any = None) -> Any:
        """Return a member, or the default; outside of a run always the default."""
        return self.current().get(key, default)

    def current(self) -> dict[str, Any]:
        """Return all of it as this code has made it; empty outside of a run."""
        active = current_run.get()
        return {} if active is None else copy.deepcopy(active.metadata)

    async def flush(self) -> None:
        """Wait until what was changed is written, for whoever reads it next.

        Raises:
            ApiError: the platform refused it.
        """
        active = current_run.get()
        if active is not None:
            await active.host.flush_metadata()

    def flush_sync(self) -> None:
        """Wait likewise, blocking."""
        active = current_run.get()
        if active is not None:
            active.host.flush_metadata_sync()


metadata = Metadata()
"""It holds no state: what it changes belongs to the run."""


def _plain(value: Any) -> Any:
    encoded = packet.encode(value, name="metadata")
    return packet.to_plain(encoded.data, encoded.type)
