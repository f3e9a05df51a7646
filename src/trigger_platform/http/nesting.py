"""JSON that is nested more deeply than it can be read or written again.

Bodies are refused by their parser beyond the same depth. What stands in a text inside of a body is not read
when it arrives, so it is looked at when it is shown.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from trigger_core import packet

__all__ = ["plain"]

_DEEPEST = 200
_SAYS = "recursion limit"


def plain(data: str | None, kind: str) -> Any:
    """Read a packet as plain JSON values; what is nested too deeply stays a text."""
    if data is not None and kind in {packet.JSON, packet.SUPERJSON} and _is_deep(data):
        return data
    return packet.to_plain(data, kind)


def _is_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= _DEEPEST:
        return False
    try:
        from_json(text)
    except ValueError as error:
        return _SAYS in str(error)
    return False
