"""What the platform may expect of a place for blobs, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from trigger_core.errors import UsageError
from trigger_platform.engine.blob import UPLOAD_MS

__all__ = ["LIFE_S", "BlobStore", "Method", "Place", "checked", "leads_in"]

Method = Literal["GET", "PUT"]

LIFE_S = {"GET": 3_600, "PUT": UPLOAD_MS // 1000}
"""For how long an address may be used, in seconds."""

_LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a blob lies: a path that belongs to one environment, whose secret key signs addresses."""

    environment_id: str
    path: str
    secret_key: str = field(repr=False)


class BlobStore(Protocol):
    """A place for blobs."""

    def address(self, method: Method, place: Place, *, base_url: str, now_ms: int) -> str:
        """Return an address that lets whoever has it upload or download one blob, for a while.

        ``base_url`` is how the one who asks reaches this server.
        """
        ...

    async def size(self, environment_id: str, path: str) -> int | None:
        """Return how many bytes a blob has; ``None`` if nothing was uploaded there."""
        ...

    async def remove(self, environment_id: str, path: str) -> None:
        """Remove a blob; one that is not there is removed already."""
        ...


def checked(path: str) -> str:
    """Return a path that means the same to every store.

    Raises:
        UsageError: it is empty, too long, absolute, or has parts that move elsewhere.
    """
    if not leads_in(path):
        raise UsageError(
            "Params Error: this is no name of a packet",
            code="INVALID_PACKET_NAME",
            hint=f"such as trigger/my-task/payload.json: at most {_LONGEST} characters, no empty parts",
        )
    return path


def leads_in(path: str) -> bool:
    """Tell whether a path means the same to every store, and leads out of its environment in none."""
    parts = path.split("/")
    is_plain = len(path) <= _LONGEST and path.isprintable() and "\\" not in path
    return is_plain and not any(part in {"", ".", ".."} for part in parts)
